# What `cmake --install` leaves behind, and how other projects find it.

function(koine_install_module target kind)
endfunction()
