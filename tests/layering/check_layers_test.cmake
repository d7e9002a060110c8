# CheckLayers.cmake finds each kind of violation where it was planted, and nothing in a good tree.
#
#     cmake -D CHECK=cmake/CheckLayers.cmake -D SCRATCH=<a folder to use> -P check_layers_test.cmake
cmake_minimum_required(VERSION 3.25)

set(rule [[
set(LAYERS base transport os app koine)
set(LINKS_base)
set(LINKS_transport base)
set(LINKS_os transport)
set(LINKS_app transport)
set(TEST_LINKS_app os)
set(LINKS_koine app os)
]])

# A tree with everything that is allowed; each case below adds one file to it.
function(plant file text)
  file(WRITE ${SCRATCH}/${file} "${text}")
endfunction()

function(plant_good_tree)
  file(REMOVE_RECURSE ${SCRATCH})
  plant(rule.cmake "${rule}")
  plant(koine/base/error.h "// a[0]; \\\n#pragma once\n#include <expected>\n#include <sys/uio.h>\n")
  plant(koine/base/error.cc "#include \"koine/base/error.h\"\n#include <fmt/format.h>\n")
  plant(koine/transport/stream.h "#include \"koine/base/error.h\"\n#include <netinet/in.h>\n")
  plant(koine/os/ring.cc "#include <liburing.h>\n#include <koine/base/error.h>\n")
  plant(koine/app/server.h "#include <koine/transport/stream.h>\n#include \"koine/base/error.h\"\n")
  plant(koine/app/server_test.cc "#include \"koine/os/ring.h\"\n#include <gtest/gtest.h>\n")
  plant(koine/koine.h "#include \"koine/app/server.h\"\n#include \"koine/os/network.h\"\n")
  plant(koine/koine.cc "#include \"koine/koine.h\"\n")
endfunction()

function(check result output)
  execute_process(COMMAND ${CMAKE_COMMAND} -D ROOT=${SCRATCH} -D RULE=${SCRATCH}/rule.cmake -P ${CHECK}
                  RESULT_VARIABLE failed OUTPUT_VARIABLE out ERROR_VARIABLE err)
  set(${result} ${failed} PARENT_SCOPE)
  set(${output} "${out}${err}" PARENT_SCOPE)
endfunction()

# The tree with `text` in `file` is refused, in words that match `expected`.
function(refuses file text expected)
  plant_good_tree()
  plant(${file} "${text}")
  check(failed output)
  if(NOT failed)
    message(SEND_ERROR "accepted: ${file}: ${text}")
  elseif(NOT output MATCHES "${expected}")
    message(SEND_ERROR "said nothing like '${expected}' of ${file}: ${text}\n${output}")
  endif()
endfunction()

plant_good_tree()
check(failed output)
if(failed)
  message(SEND_ERROR "refused a good tree:\n${output}")
endif()

refuses(koine/base/time.h "\n\n#include \"koine/transport/stream.h\"\n"
        "koine/base/time.h:3: includes koine/transport/stream.h: koine/base may include only: base")
refuses(koine/base/time.cc "int x[2]; // a;b\n#include <koine/app/server.h>\n" "koine/base/time.cc:2: ")
refuses(koine/transport/dial.cc "  #  include \"koine/os/ring.h\"\n" "dial.cc:1: includes koine/os/ring.h")
refuses(koine/app/server.cc "#include \"koine/os/ring.h\"\n" "server.cc:1: includes koine/os/ring.h")
refuses(koine/transport/stream_test.cc "#include \"koine/os/ring.h\"\n" "stream_test.cc:1: ")
refuses(koine/app/client.cc "#include <koine/koine.h>\n" "the front door is above koine/app")
refuses(koine/base/list.cc "#include \"error.h\"\n" "included as \"koine/...\"")
refuses(koine/base/list.h "#include <fmt/format.h>\n" "foreign header stays in a .cc")
refuses(koine/os/ring.h "#include <liburing.h>\n" "foreign header stays in a .cc")
refuses(koine/koine.h "#include <CLI/CLI.hpp>\n" "foreign header stays in a .cc")
refuses(koine/os/deep/er/x.h "#include <openssl/ssl.h>\n" "foreign header stays in a .cc")
refuses(koine/os/test_seed.h "#include <gtest/gtest.h>\n" "foreign header stays in a .cc")
refuses(koine/news/paper.h "#pragma once\n" "koine/news is not declared")
refuses(koine/app/two.cc "#include \"koine/os/a.h\"\n#include \"koine/os/b.h\"\n" "broken at 2 places")

file(REMOVE_RECURSE ${SCRATCH}/koine)
check(failed output)
if(NOT failed)
  message(SEND_ERROR "a tree without files was called good")
endif()
