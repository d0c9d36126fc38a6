// Package faults holds the tests of the whole store (engine, vault, event log,
// people) under what disks, clocks and power supplies do: errors at any call, no
// space, flipped bits, jumping clocks, power cuts. What must hold is always the
// same: an acknowledged event is there once, an erased person is gone, and
// package verify, which shares no code with what writes, finds no fault.
package faults
