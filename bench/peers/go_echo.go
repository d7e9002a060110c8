// The echo server on Go's net package: a goroutine for each connection, as everybody writes it.
//
// Fairness: Go's runtime takes one processor by itself when it is held on one core. net sets
// TCP_NODELAY and does its own non-blocking reads and writes below. The buffer of 16 KiB belongs to
// the connection, as in asio_callbacks.cc. io.Copy is left out on purpose: between two connections
// it uses splice(2), which costs a small message four system calls instead of two.
package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

func echo(client net.Conn) {
	defer client.Close()
	bytes := make([]byte, 16*1024)
	for {
		count, err := client.Read(bytes)
		if err != nil {
			return
		}
		if _, err := client.Write(bytes[:count]); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go_echo PORT")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "go_echo:", err)
		os.Exit(1)
	}
	fmt.Printf("listening on tcp://%s\n", listener.Addr())
	for {
		client, err := listener.Accept()
		if err != nil {
			time.Sleep(5 * time.Millisecond) // no descriptor left, mostly; net/http waits as long
			continue
		}
		go echo(client)
	}
}
