# How koine's targets are made: a library for each folder of koine/, its tests, the tool, the fuzz
# targets. The rules about them (who may include whom) are in Layers.cmake, what becomes of them
# elsewhere is in Install.cmake.

include(CheckLinkerFlag)
include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(KOINE_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
set(KOINE_PROGRAM_FLAGS "" CACHE STRING "Further flags of the programs' own files: tests, the tool, examples")
option(KOINE_TEST_PRELUDE "Compile what all tests include once (a compiler cache may then not help)" OFF)
option(KOINE_WERROR "A warning in koine's own code fails the build" ${PROJECT_IS_TOP_LEVEL})
option(KOINE_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(KOINE_FUZZ "Build the fuzz targets with libFuzzer (clang) instead of as replays" OFF)
option(KOINE_CCACHE "Compile through ccache where it is installed" ON)

if(KOINE_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(KOINE_CCACHE_PROGRAM ccache)
  if(KOINE_CCACHE_PROGRAM)
    set(CMAKE_C_COMPILER_LAUNCHER ${KOINE_CCACHE_PROGRAM})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${KOINE_CCACHE_PROGRAM})
  endif()
endif()

# koine_module(NAME [LINKS module...] [PRIVATE library...] [TEST_LINKS target...] [TEST_LABELS l...]
#              [APART file...] [CHOSEN header...])
#
# The folder koine/NAME as the static library koine_NAME (elsewhere koine::NAME). LINKS are the
# modules that its files may include, directly and through them; each is declared above it, so the
# order of these calls is the order of the layers. PRIVATE are foreign libraries (see koine_foreign)
# that only its .cc files see. *_test.cc there becomes the test program koine_NAME_test; TEST_LINKS
# is what only the tests may use as well (modules by their name, as in LINKS, or any other target).
# TEST_LABELS are for ctest (see koine_test). APART are files there that are no part of the library
# (see koine_interposer). CHOSEN are headers there that need a library which koine itself does not:
# installed like all others, but compiled only by their tests. A folder that does not exist yet is
# passed over.
function(koine_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS;PRIVATE;TEST_LINKS;TEST_LABELS;APART;CHOSEN")
  list(TRANSFORM arg_APART PREPEND ${PROJECT_SOURCE_DIR}/koine/${name}/)
  list(TRANSFORM arg_CHOSEN PREPEND ${PROJECT_SOURCE_DIR}/koine/${name}/)
  koine_folder(koine_${name} ${PROJECT_SOURCE_DIR}/koine/${name} ${name} "${arg_LINKS}"
               "${arg_PRIVATE}" "${arg_TEST_LINKS}" "${arg_TEST_LABELS}" "${arg_APART}" "${arg_CHOSEN}")
endfunction()

# koine_interposer(NAME FILE LINKS module)
#
# The file of that module's folder as the library koine_NAME (elsewhere koine::NAME), which replaces
# functions of libc in every program that links it. The file defines the symbol koine_NAME, by which
# the linker is made to take it in; the program's own names are kept for its backtraces.
function(koine_interposer name file)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "LINKS" "")
  set(target koine_${name})
  add_library(${target} STATIC ${PROJECT_SOURCE_DIR}/koine/${arg_LINKS}/${file})
  add_library(koine::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${target} PUBLIC koine_${arg_LINKS} ${CMAKE_DL_LIBS})
  target_link_options(${target} INTERFACE LINKER:--undefined=${target} -rdynamic)
  koine_warnings(${target})
  if(KOINE_INSTALL)
    install(TARGETS ${target} EXPORT koineTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endfunction()

# koine_front_door([LINKS module...] [PRIVATE library...] [TEST_LINKS ...] [TEST_LABELS ...])
#
# The files directly in koine/: <koine/koine.h>, the one thing in koine/ that chooses a world.
# Its target is koine_koine, elsewhere koine::koine. Nothing happens until koine/koine.h exists.
function(koine_front_door)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "LINKS;PRIVATE;TEST_LINKS;TEST_LABELS")
  if(EXISTS ${PROJECT_SOURCE_DIR}/koine/koine.h)
    koine_folder(koine_koine ${PROJECT_SOURCE_DIR}/koine koine "${arg_LINKS}" "${arg_PRIVATE}"
                 "${arg_TEST_LINKS}" "${arg_TEST_LABELS}" "" "")
    set_target_properties(koine_koine PROPERTIES OUTPUT_NAME koine)
  endif()
endfunction()

# What koine_module and koine_front_door share.
function(koine_folder target folder name links private test_links test_labels apart chosen)
  koine_declare_layer(${name} LINKS ${links} TEST_LINKS ${test_links})
  if(NOT EXISTS ${folder})
    return()
  endif()
  if(name STREQUAL "koine")  # the folder of all the others
    set(glob GLOB)
  else()
    set(glob GLOB_RECURSE)
  endif()
  file(${glob} headers CONFIGURE_DEPENDS ${folder}/*.h)
  file(${glob} sources CONFIGURE_DEPENDS ${folder}/*.cc)
  if(apart)
    list(REMOVE_ITEM sources ${apart})
  endif()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")

  if(sources)
    set(kind STATIC)
    set(scope PUBLIC)
  else()  # only headers, so far
    set(kind INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(${target} ${kind} ${sources})
  add_library(koine::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  list(FILTER headers EXCLUDE REGEX "_test\\.h$")
  if(chosen)
    list(REMOVE_ITEM headers ${chosen})
    target_sources(${target} ${scope} FILE_SET chosen TYPE HEADERS
                   BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${chosen})
    set_target_properties(${target} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
  endif()
  target_sources(${target} ${scope}
                 FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  target_compile_features(${target} ${scope} cxx_std_23)
  koine_targets(modules ${links})
  target_link_libraries(${target} ${scope} ${modules})
  if(sources)
    target_link_libraries(${target} PRIVATE ${private})
    koine_sections(${target})
    koine_warnings(${target})
  endif()
  koine_install_module(${target} ${kind})

  if(KOINE_TESTS AND tests)
    koine_test(${name} SOURCES ${tests} LINKS ${name} ${test_links} LABELS ${test_labels})
  endif()
endfunction()

# koine_foreign(PKG_CONFIG name...) finds libraries of others: each is PkgConfig::NAME to PRIVATE.
# Whoever uses an installed koine has them found again.
function(koine_foreign)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "PKG_CONFIG")
  find_package(PkgConfig REQUIRED)
  foreach(name ${arg_PKG_CONFIG})
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${name})
    set_property(GLOBAL APPEND PROPERTY KOINE_FOREIGN ${name})
  endforeach()
endfunction()

# koine_program(NAME FOLDER folder [LINKS target...] [PRIVATE library...] [TEST_LINKS ...])
#
# The folder as the program NAME in the top of the build folder: main.cc is the program, all other
# sources are the library NAME_program, so that *_test.cc beside them can test them.
function(koine_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "LINKS;PRIVATE;TEST_LINKS;TEST_LABELS")
  set(folder ${PROJECT_SOURCE_DIR}/${arg_FOLDER})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.h ${folder}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")

  koine_targets(modules ${arg_LINKS})
  add_library(${name}_program STATIC ${sources})
  set_target_properties(${name}_program PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${name}_program PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_program PUBLIC ${modules} ${arg_PRIVATE})
  koine_warnings(${name}_program)
  koine_program_flags(${name}_program)
  add_executable(${name} ${folder}/main.cc)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  target_link_libraries(${name} PRIVATE ${name}_program)
  koine_warnings(${name})
  koine_program_flags(${name})
  if(KOINE_TESTS AND tests)
    koine_test(${arg_FOLDER} SOURCES ${tests} LINKS ${name}_program ${arg_TEST_LINKS}
               LABELS ${arg_TEST_LABELS})
  endif()
endfunction()

# The programs of examples/, one file each, as they would be written elsewhere.
function(koine_examples)
  file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.cc)
  foreach(example ${examples})
    cmake_path(GET example STEM name)
    add_executable(koine_example_${name} ${example})
    set_target_properties(koine_example_${name} PROPERTIES OUTPUT_NAME ${name}
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
    target_link_libraries(koine_example_${name} PRIVATE koine_koine)
    koine_warnings(koine_example_${name})
    koine_program_flags(koine_example_${name})
  endforeach()
endfunction()

# koine_test(NAME SOURCES file... [LINKS target...] [LABELS label...] [TIMEOUT seconds])
#
# The GoogleTest program koine_NAME_test; each of its tests is a test of ctest's, NAME.Suite.Test.
# Labels that script/test knows: `tsan` runs under ThreadSanitizer too, `interop` (against programs
# nobody here wrote) in the release build only, `slow` with one of the compilers only.
function(koine_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LINKS;LABELS")
  if(NOT KOINE_TESTS)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(target koine_${name}_test)
  koine_targets(links ${arg_LINKS})
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${links} GTest::gtest_main GTest::gmock)
  koine_warnings(${target})
  koine_program_flags(${target})
  if(KOINE_TEST_PRELUDE)
    target_precompile_headers(${target} REUSE_FROM koine_test_prelude)
  endif()
  gtest_discover_tests(${target} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       NO_PRETTY_VALUES PROPERTIES TIMEOUT ${arg_TIMEOUT})
  # As a property above, a list of labels would lose all but its first.
  set(labels ${CMAKE_CURRENT_BINARY_DIR}/${target}_labels.cmake)
  file(WRITE ${labels}
       "if(${target}_TESTS)\n"
       "  set_tests_properties(\${${target}_TESTS} PROPERTIES LABELS \"${name};${arg_LABELS}\")\n"
       "endif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels})
  foreach(label ${arg_LABELS})
    if(TARGET koine_tests_${label})
      add_dependencies(koine_tests_${label} ${target})
    endif()
  endforeach()
endfunction()

# Tests, the tool and the examples are many files that run briefly: where it is the compiler that
# takes the time, they are compiled without what makes the library fast.
function(koine_program_flags target)
  separate_arguments(flags NATIVE_COMMAND "${KOINE_PROGRAM_FLAGS}")
  target_compile_options(${target} PRIVATE ${flags})
endfunction()

# The targets behind names: the name of a folder of koine/, or "koine", stands for its target (and
# for nothing before the folder exists), any other name for itself.
function(koine_targets out)
  set(targets "")
  foreach(name ${ARGN})
    if(name STREQUAL "koine" OR EXISTS ${PROJECT_SOURCE_DIR}/koine/${name})
      list(APPEND targets koine_${name})
    else()
      get_property(is_module GLOBAL PROPERTY KOINE_LAYER_${name} SET)
      if(NOT is_module)
        list(APPEND targets ${name})
      endif()
    endif()
  endforeach()
  set(${out} ${targets} PARENT_SCOPE)
endfunction()

# In an optimised build the linker leaves out what a program does not use, and writes down in a bit
# each, not in 24 bytes, which of its pointers move with it (DT_RELR; such a program needs glibc 2.36).
check_linker_flag(CXX LINKER:-z,pack-relative-relocs KOINE_PACKS_RELOCATIONS)
function(koine_sections target)
  target_compile_options(${target} PRIVATE
                         $<$<CONFIG:Release>:-ffunction-sections> $<$<CONFIG:Release>:-fdata-sections>)
  target_link_options(${target} INTERFACE $<$<CONFIG:Release>:LINKER:--gc-sections>)
  if(KOINE_PACKS_RELOCATIONS)
    target_link_options(${target} INTERFACE $<$<CONFIG:Release>:LINKER:-z,pack-relative-relocs>)
  endif()
endfunction()

# koine_small(file...): these run once for a program or a connection, or when something is wrong.
# In an optimised build they are compiled for size: they are most of what a small program consists of.
function(koine_small)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/koine/ OUTPUT_VARIABLE files)
  set_property(SOURCE ${files} APPEND PROPERTY COMPILE_OPTIONS $<$<CONFIG:Release>:-Oz>)
endfunction()

function(koine_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(KOINE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

include(${CMAKE_CURRENT_LIST_DIR}/Layers.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/Install.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/Fuzz.cmake)

if(KOINE_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  # What has to be built to run the tests with a label.
  add_custom_target(koine_tests_tsan)
  add_custom_target(koine_tests_interop)
  if(KOINE_TEST_PRELUDE)
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/test_prelude.cc CONTENT "// Has only a prelude.\n")
    add_library(koine_test_prelude OBJECT ${CMAKE_BINARY_DIR}/test_prelude.cc)
    target_link_libraries(koine_test_prelude PRIVATE GTest::gtest)
    koine_warnings(koine_test_prelude)
    koine_program_flags(koine_test_prelude)
    target_precompile_headers(koine_test_prelude PRIVATE <gtest/gtest.h> <algorithm> <array> <chrono>
                              <coroutine> <cstdint> <deque> <expected> <functional> <map> <memory> <optional>
                              <span> <string> <string_view> <utility> <variant> <vector>)
  endif()
endif()
