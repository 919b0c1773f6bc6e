package app

// ServeFunction is serveFunction.
var ServeFunction = serveFunction
