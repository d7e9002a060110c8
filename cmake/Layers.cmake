# The layering rule: a folder of koine/ includes only what stands below it.
#
# What stands below is what its koine_module line links, directly or through others. Two things are
# settled here, while configuring: links go to what is declared above (so there is no way round in
# a circle), and only the front door links os or sim, the two worlds a program can run in. That the
# files keep to their links is checked by CheckLayers.cmake, which is a test.

set(KOINE_WORLDS os sim)

function(koine_declare_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS;TEST_LINKS")
  get_property(known GLOBAL PROPERTY KOINE_LAYERS)
  foreach(link ${arg_LINKS})
    if(NOT link IN_LIST known)
      message(FATAL_ERROR "koine/${name} links ${link}, which is not declared above it. "
                          "A folder links only what stands below it; declared so far: ${known}.")
    endif()
    if(link IN_LIST KOINE_WORLDS AND NOT name STREQUAL "koine")
      message(FATAL_ERROR "koine/${name} links ${link}. Only koine/koine.h chooses a world; "
                          "tests may, with TEST_LINKS.")
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY KOINE_LAYERS ${name})
  set_property(GLOBAL PROPERTY KOINE_LAYER_${name} "${arg_LINKS}")
  set_property(GLOBAL PROPERTY KOINE_LAYER_TESTS_${name} "${arg_TEST_LINKS}")
endfunction()

# Runs when everything is declared: writes the rule down for CheckLayers.cmake and adds the tests.
function(koine_layering_tests)
  get_property(layers GLOBAL PROPERTY KOINE_LAYERS)
  set(text "# Written by cmake/Layers.cmake.\nset(LAYERS ${layers})\n")
  foreach(name ${layers})
    get_property(links GLOBAL PROPERTY KOINE_LAYER_${name})
    get_property(test_links GLOBAL PROPERTY KOINE_LAYER_TESTS_${name})
    string(APPEND text "set(LINKS_${name} ${links})\nset(TEST_LINKS_${name} ${test_links})\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/layers.cmake CONTENT "${text}" @ONLY)

  add_test(NAME layering.includes
           COMMAND ${CMAKE_COMMAND} -D ROOT=${PROJECT_SOURCE_DIR}
                   -D RULE=${PROJECT_BINARY_DIR}/layers.cmake
                   -P ${PROJECT_SOURCE_DIR}/cmake/CheckLayers.cmake)
  add_test(NAME layering.check_finds_what_it_should
           COMMAND ${CMAKE_COMMAND} -D CHECK=${PROJECT_SOURCE_DIR}/cmake/CheckLayers.cmake
                   -D SCRATCH=${PROJECT_BINARY_DIR}/layering
                   -P ${PROJECT_SOURCE_DIR}/tests/layering/check_layers_test.cmake)
  set_tests_properties(layering.includes layering.check_finds_what_it_should
                       PROPERTIES LABELS layering)
endfunction()

if(KOINE_TESTS)
  cmake_language(DEFER DIRECTORY ${PROJECT_SOURCE_DIR} CALL koine_layering_tests)
endif()
