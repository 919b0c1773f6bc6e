// Package webhook is what chat platforms call. It finds the configuration of a URL, has the
// platform's receiver prove and read the callback, decides, records, dispatches and answers.
package webhook
