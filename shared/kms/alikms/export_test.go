package alikms

// Read is read.
var Read = read
