# Fuzz targets: tests/fuzz/NAME_fuzz.cc defines LLVMFuzzerTestOneInput, which must bear any input.
#
# In the preset `fuzz` it is built with libFuzzer; script/fuzz runs it. In every other preset the same
# file is a test, fuzz.NAME, which replays what lies in tests/fuzz/corpus/NAME/ and every prefix of
# it, so no target rots and an input that once broke something is tried for ever.

add_custom_target(koine_fuzzers)

# koine_fuzz(NAME [LINKS module...])
function(koine_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS")
  set(target koine_${name}_fuzz)
  set(folder ${PROJECT_SOURCE_DIR}/tests/fuzz)
  koine_targets(modules ${arg_LINKS})
  add_executable(${target} ${folder}/${name}_fuzz.cc)
  target_link_libraries(${target} PRIVATE ${modules})
  koine_warnings(${target})
  if(KOINE_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/targets
                          OUTPUT_NAME ${name})
    add_dependencies(koine_fuzzers ${target})
  else()
    target_sources(${target} PRIVATE ${folder}/replay.cc)
    add_test(NAME fuzz.${name} COMMAND ${target} ${folder}/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()
