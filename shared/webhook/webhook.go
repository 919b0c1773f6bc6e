// Package webhook is what chat platforms call: it finds the configuration of a URL, has its platform prove and read the callback,
// decides, records, hands on and answers.
package webhook
