// Package webhook serves the callbacks of chat platforms. It finds the configuration of a URL, has
// the platform's receiver verify and read the callback, decides, records, dispatches and answers.
package webhook
