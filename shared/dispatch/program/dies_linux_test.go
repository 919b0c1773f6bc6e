package program_test

// dies says that programs end when the service is killed.
const dies = true
