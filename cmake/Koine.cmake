# How koine's targets are made.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# koine_module(NAME [LINKS module...] [PRIVATE library...])
#
# The folder koine/NAME as a static library koine_NAME; what is named *_test.cc there becomes the
# test program koine_NAME_test.
function(koine_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS;PRIVATE")
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/koine/${name})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.h ${folder}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")

  add_library(koine_${name} STATIC ${sources})
  add_library(koine::${name} ALIAS koine_${name})
  target_include_directories(koine_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  list(TRANSFORM arg_LINKS PREPEND koine_)
  target_link_libraries(koine_${name} PUBLIC ${arg_LINKS} PRIVATE ${arg_PRIVATE})
  koine_warnings(koine_${name})

  if(KOINE_TESTS AND tests)
    add_executable(koine_${name}_test ${tests})
    target_link_libraries(koine_${name}_test PRIVATE koine_${name} GTest::gtest_main GTest::gmock)
    koine_warnings(koine_${name}_test)
    add_test(NAME ${name} COMMAND koine_${name}_test)
  endif()
endfunction()

function(koine_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
endfunction()
