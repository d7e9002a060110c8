# koine_reference(PROGRAM): the manual page and the completions that the tool writes about itself,
# below share/ of the build folder, from where `cmake --install` takes them (Install.cmake).
function(koine_reference program)
  set(share ${PROJECT_BINARY_DIR}/share)
  set(made "")
  foreach(line
          "--man|man/man1/koine.1"
          "--completion=bash|bash-completion/completions/koine"
          "--completion=zsh|zsh/site-functions/_koine"
          "--completion=fish|fish/vendor_completions.d/koine.fish")
    string(REGEX MATCH "^(.*)[|](.*)$" line "${line}")
    set(option ${CMAKE_MATCH_1})
    set(file ${share}/${CMAKE_MATCH_2})
    cmake_path(GET file PARENT_PATH folder)
    add_custom_command(OUTPUT ${file}
                       COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
                       COMMAND ${program} ${option} > ${file}
                       DEPENDS ${program} VERBATIM)
    list(APPEND made ${file})
  endforeach()
  add_custom_target(${program}_reference ALL DEPENDS ${made})
endfunction()
