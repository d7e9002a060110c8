# Do the files of koine/ include only what they may? A script:
#
#     cmake -D ROOT=<source folder> -D RULE=<build folder>/layers.cmake -P CheckLayers.cmake
#
# The rules:
# - a file in koine/X includes koine/Y/... only if Y is X or among X's links, directly or through
#   them; a *_test file may also use X's TEST_LINKS;
# - the front door, koine/koine.h, is for programs: nothing below it includes it;
# - a header of ours is included as "koine/...", from the root, never relative to the file;
# - a header includes nothing foreign: only ours, the C++ and C standard's, and the system's; those
#   that programs include by choice (see below) also what they are about.
# Each violation is one line, `file:line: what (why)`; any makes the script fail.
cmake_minimum_required(VERSION 3.25)

include(${RULE})

# POSIX's and Linux's headers, by name or by folder; C++'s need no list: no dot, no slash.
set(system_headers
    aio arpa/inet cpio dirent dlfcn err errno fcntl fmtmsg fnmatch ftw getopt glob grp iconv
    ifaddrs langinfo libgen limits locale mqueue net/if netdb netinet/in netinet/ip netinet/tcp
    netinet/udp nl_types poll pthread pwd regex sched search semaphore setjmp signal spawn stdarg
    stddef stdint stdio stdlib string strings sysexits syslog tar termios time ucontext unistd
    utime utmpx wchar wordexp assert ctype math inttypes)
# Parts of the C++ standard's headers, with their reason where they are included.
list(APPEND system_headers bits/chrono bits/unique_ptr)
set(system_folders asm linux net netinet sys)

# Headers that bring a library of others to whoever includes them; nothing of ours does.
set(foreign_in_koine/rsocket/json.h nlohmann/json.hpp)
set(foreign_in_koine/rsocket/protobuf.h google/protobuf/message_lite.h)
set(foreign_in_koine/sim/test_seed.h gtest/gtest.h)  # for tests with GoogleTest

# All that may be included from the folder, into `out`.
function(reachable out)
  set(seen "")
  set(todo ${ARGN})
  while(todo)
    list(POP_FRONT todo next)
    if(NOT next IN_LIST seen)
      list(APPEND seen ${next})
      list(APPEND todo ${LINKS_${next}})
    endif()
  endwhile()
  set(${out} ${seen} PARENT_SCOPE)
endfunction()

# Why `header`, included by `file` of `layer` which may include `allowed`, is wrong; or "".
function(judge out header quoted file layer allowed)
  set(why "")
  if(header MATCHES "^koine/([^/]+)/")
    if(NOT CMAKE_MATCH_1 IN_LIST allowed)
      string(REPLACE ";" ", " words "${allowed}")
      set(why "koine/${layer} may include only: ${words}")
    endif()
    if(DEFINED foreign_in_${header} AND NOT file MATCHES "_test\\.(h|cc)$")
      set(why "it brings ${foreign_in_${header}}, which only programs and tests choose")
    endif()
  elseif(header MATCHES "^koine/")
    if(NOT "koine" IN_LIST allowed)
      set(why "the front door is above koine/${layer}")
    endif()
  elseif(quoted)
    set(why "our headers are included as \"koine/...\", others as <...>")
  elseif(file MATCHES "\\.h$" AND NOT file MATCHES "_test\\.h$" AND header MATCHES "[./]")
    string(REGEX REPLACE "\\.h$" "" stem "${header}")
    string(REGEX MATCH "^[^/]+" top "${header}")
    if(DEFINED foreign_in_${file} AND header IN_LIST foreign_in_${file})
      set(why "")
    elseif(NOT header MATCHES "\\.h$" OR
       NOT (stem IN_LIST system_headers OR (top IN_LIST system_folders AND header MATCHES "/")))
      set(why "a foreign header stays in a .cc file")
    endif()
  endif()
  set(${out} "${why}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/koine/*.h ${ROOT}/koine/*.cc)
list(SORT files)
list(LENGTH files count)
if(count EQUAL 0)
  message(FATAL_ERROR "no files in ${ROOT}/koine: nothing was checked")
endif()

set(violations 0)
foreach(file ${files})
  if(file MATCHES "^koine/([^/]+)/")
    set(layer ${CMAKE_MATCH_1})
  else()
    set(layer koine)
  endif()
  if(NOT layer IN_LIST LAYERS)
    message("${file}:1: koine/${layer} is not declared: CMakeLists.txt has no koine_module for it")
    math(EXPR violations "${violations} + 1")
    continue()
  endif()
  set(from ${layer})
  if(file MATCHES "_test\\.(h|cc)$")
    list(APPEND from ${TEST_LINKS_${layer}})
  endif()
  reachable(allowed ${from})

  # Read line by line, for the number; ';' and brackets mean something in CMake's lists.
  file(READ ${ROOT}/${file} text)
  string(REGEX REPLACE "[];[]" "_" text "${text}")
  string(REPLACE "\\" "/" text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  set(line_number 0)
  foreach(line IN LISTS lines)
    math(EXPR line_number "${line_number} + 1")
    if(NOT line MATCHES "^[ \t]*#[ \t]*include[ \t]*([\"<])([^\">]+)")
      continue()
    endif()
    set(header ${CMAKE_MATCH_2})
    string(COMPARE EQUAL "${CMAKE_MATCH_1}" "\"" quoted)
    judge(why "${header}" ${quoted} ${file} ${layer} "${allowed}")
    if(why)
      message("${file}:${line_number}: includes ${header}: ${why}")
      math(EXPR violations "${violations} + 1")
    endif()
  endforeach()
endforeach()

if(violations GREATER 0)
  message(FATAL_ERROR "the layering rule is broken at ${violations} places (${count} files)")
endif()
message("${count} files keep to the layering rule")
