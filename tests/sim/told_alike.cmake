# Runs PROGRAM several times, in surroundings that differ, and compares what it prints.

set(plain ${CMAKE_COMMAND} -E env)
set(strange ${CMAKE_COMMAND} -E env
    MALLOC_PERTURB_=165 MALLOC_ARENA_MAX=1 TZ=Asia/Kathmandu LC_ALL=C.UTF-8 HOME=/nowhere
    KOINE_PADDING=................................................................................)

execute_process(COMMAND ${plain} ${PROGRAM} OUTPUT_VARIABLE first RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${PROGRAM} failed: ${failed}\n${first}")
endif()
execute_process(COMMAND ${strange} ${PROGRAM} OUTPUT_VARIABLE second RESULT_VARIABLE failed)
if(failed OR NOT first STREQUAL second)
  message(FATAL_ERROR "Two runs differ.\nThe first:\n${first}\nThe second:\n${second}")
endif()

if(DEFINED ENV{KOINE_OTHER_STORIES})
  execute_process(COMMAND ${plain} $ENV{KOINE_OTHER_STORIES} OUTPUT_VARIABLE other
                  RESULT_VARIABLE failed)
  if(failed OR NOT first STREQUAL other)
    message(FATAL_ERROR "$ENV{KOINE_OTHER_STORIES} tells:\n${other}\ninstead of:\n${first}")
  endif()
endif()
message("${first}")
