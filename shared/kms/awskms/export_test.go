package awskms

// Read is read.
var Read = read
