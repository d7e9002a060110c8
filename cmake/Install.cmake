# What `cmake --install` leaves behind, and how other projects find it:
#
#     include/koine/...                 every header but those of tests
#     lib/libkoine*.a                   one archive a folder; all are static
#     lib/cmake/koine/                  find_package(koine) gives koine::koine, and koine::NAME
#     lib/pkgconfig/koine.pc            pkg-config --cflags --libs koine
#     bin/koine                         the tool, where it was built
#     share/                            what its build left in build/.../share: the manual page
#                                       (man/man1/koine.1) and the shells' completions
#
# Nothing names the prefix it was installed to, so the tree may be moved.

option(KOINE_INSTALL "Give `cmake --install` something to do" ${PROJECT_IS_TOP_LEVEL})

function(koine_install_module target kind)
  if(NOT KOINE_INSTALL)
    return()
  endif()
  install(TARGETS ${target} EXPORT koineTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILE_SET chosen DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  if(kind STREQUAL "STATIC")
    set_property(GLOBAL APPEND PROPERTY KOINE_ARCHIVES $<TARGET_FILE_BASE_NAME:${target}>)
  endif()
endfunction()

# Runs when everything is declared.
function(koine_install)
  include(CMakePackageConfigHelpers)
  get_property(KOINE_FOREIGN GLOBAL PROPERTY KOINE_FOREIGN)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/koine)
  configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/koineConfig.cmake.in ${PROJECT_BINARY_DIR}/koineConfig.cmake
    INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/koineConfigVersion.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/koineConfig.cmake
                ${PROJECT_BINARY_DIR}/koineConfigVersion.cmake DESTINATION ${package})
  install(EXPORT koineTargets NAMESPACE koine:: DESTINATION ${package})

  # Lowest first is how they were declared; a linker wants users before what they use.
  get_property(archives GLOBAL PROPERTY KOINE_ARCHIVES)
  list(REVERSE archives)
  list(TRANSFORM archives REPLACE "^\\$<TARGET_FILE_BASE_NAME:(.*)>$" "-l$<TARGET_FILE_BASE_NAME:\\1>")
  list(JOIN archives " " KOINE_PC_LIBRARIES)
  list(JOIN KOINE_FOREIGN ", " KOINE_PC_REQUIRES)
  set(KOINE_PC_LINKING -Wl,--gc-sections)
  if(KOINE_PACKS_RELOCATIONS)
    string(APPEND KOINE_PC_LINKING " -Wl,-z,pack-relative-relocs")
  endif()
  file(RELATIVE_PATH KOINE_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/koine.pc.in ${PROJECT_BINARY_DIR}/koine.pc.configured @ONLY)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/koine.pc INPUT ${PROJECT_BINARY_DIR}/koine.pc.configured)
  install(FILES ${PROJECT_BINARY_DIR}/koine.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

  if(TARGET koine)
    install(TARGETS koine RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ DESTINATION ${CMAKE_INSTALL_DATADIR} OPTIONAL)
  endif()
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
endfunction()

if(KOINE_INSTALL)
  cmake_language(DEFER DIRECTORY ${PROJECT_SOURCE_DIR} CALL koine_install)
endif()
