// Package greet makes greetings.
package greet

import "strings"

// Greet greets somebody.
func Greet(name string) string { return "hello " + strings.ToUpper(name) }
