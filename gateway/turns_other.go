//go:build !linux

package main

// shortTurns does nothing where a thread's turns have no length of their own.
func shortTurns() {}
