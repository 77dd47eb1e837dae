package main

import (
	"os"
	"runtime"

	"example.com/hello/internal/greet"
)

var version = "unset"

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	os.Stdout.WriteString(greet.Greet(name) + " " + version + " " + runtime.GOARCH + "\n")
}
