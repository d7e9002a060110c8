# An installed koine is found and used by a project that knows nothing else of it, once through
# find_package, once through pkg-config, and still after the installed tree was moved.
#
#     cmake -D BUILD=<build folder> -D SCRATCH=<a folder to use> -D COMPILER=<C++ compiler>
#           -D FLAGS=<its flags> -D LINK_FLAGS=<the linker's> -P install_test.cmake
cmake_minimum_required(VERSION 3.25)

set(consumer ${CMAKE_CURRENT_LIST_DIR})
set(prefix ${SCRATCH}/moved)
set(expected "from far away\n")

function(run out)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(failed)
    string(REPLACE ";" " " words "${ARGN}")
    message(FATAL_ERROR "${words}\n${output}${errors}")
  endif()
  set(${out} "${output}" PARENT_SCOPE)
endfunction()

function(expect_consumer program)
  run(said ${program})
  if(NOT said STREQUAL expected)
    message(FATAL_ERROR "${program} said:\n${said}expected:\n${expected}")
  endif()
endfunction()

file(REMOVE_RECURSE ${SCRATCH})
run(ignored ${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/first)
file(RENAME ${SCRATCH}/first ${prefix})

file(GLOB_RECURSE tests RELATIVE ${prefix} ${prefix}/*_test.*)
if(tests)
  message(FATAL_ERROR "tests were installed: ${tests}")
endif()

run(ignored ${CMAKE_COMMAND} -S ${consumer} -B ${SCRATCH}/cmake -G Ninja
    -D GREET=${consumer}/../../examples/greet.cc -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${COMPILER}
    -D CMAKE_CXX_FLAGS=${FLAGS} -D CMAKE_EXE_LINKER_FLAGS=${LINK_FLAGS})
run(ignored ${CMAKE_COMMAND} --build ${SCRATCH}/cmake)
expect_consumer(${SCRATCH}/cmake/consumer)

file(GLOB_RECURSE pc ${prefix}/koine.pc)
cmake_path(GET pc PARENT_PATH pc_folder)
find_program(PKG_CONFIG pkg-config REQUIRED)
set(ENV{PKG_CONFIG_PATH} ${pc_folder})
run(flags ${PKG_CONFIG} --cflags --libs koine)
separate_arguments(flags UNIX_COMMAND "${flags}")
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
separate_arguments(LINK_FLAGS UNIX_COMMAND "${LINK_FLAGS}")
run(ignored ${COMPILER} ${FLAGS} ${LINK_FLAGS} ${consumer}/main.cc ${flags} -o ${SCRATCH}/by_pkg_config)
expect_consumer(${SCRATCH}/by_pkg_config)
