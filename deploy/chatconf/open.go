package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/console"
)

func newOpen() *cobra.Command {
	var flags clientFlags
	var onlyPrint bool
	cmd := &cobra.Command{
		Use:   "open",
		Short: "Open the web console of a local service, signed in",
		Long: `Make a link that signs you in to the web console of 'chatconf serve' with your access key, print it,
and on a terminal open it in the browser. The link works once, for 5 minutes. Anyone who has it
before you use it can sign in as you, so do not share it.

The console shows and does what the access key may. The session lasts 12 hours, and ends when the
key is disabled, deleted or expired.

The browser is opened with a file that only you can read, since other users of the machine can see
the arguments of a program. If there is no browser, copy the link.`,
		Example: `  chatconf open
  chatconf open --print
  chatconf open --context prod`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.resolve(os.Getenv)
			if err != nil {
				return err
			}
			link, err := c.consoleLink(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), link); err != nil {
				return err
			}
			if onlyPrint || !isTerminal(cmd.OutOrStdout()) {
				return nil
			}
			if err := browse(cmd.Context(), link); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "No browser was opened: %v. Copy the link.\n", err)
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&onlyPrint, "print", false, "print the link, and do not open the browser")
	return cmd
}

// consoleLink asks the service for a link that signs in with the client's key.
func (c *client) consoleLink(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	text, err := c.do(ctx, linkAction, map[string]string{}, "")
	var refused *refusedError
	switch {
	case errors.As(err, &refused) && refused.code == "InvalidApi.NotFound":
		return "", fmt.Errorf("%s has no web console; 'chatconf serve' has one", c.endpoint)
	case err != nil:
		return "", err
	}
	var answer consoleLinkResponse
	if err := json.Unmarshal(text, &answer); err != nil || !strings.HasPrefix(answer.ConsolePath, console.Prefix+"/") {
		return "", fmt.Errorf("%s sent no answer of %s; check that it is a chatconf service", c.endpoint, linkAction)
	}
	link, err := url.Parse(c.endpoint + answer.ConsolePath)
	if err != nil {
		return "", errors.New("the service sent a link that is not a URL") // without it: it is secret
	}
	return link.String(), nil
}

// browse opens a link in the person's browser, by way of a file, and returns when the browser has
// been told. Its error does not have the link.
func browse(ctx context.Context, link string) error {
	program, args, err := browser()
	if err != nil {
		return err
	}
	file, err := writeLinkPage(link)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, program, append(args, file)...).Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil // a browser that the program has started itself may still run
}

// browser returns the program that opens a file in the person's browser. Without a screen it would
// be a browser in the terminal, which people do not want.
func browser() (program string, args []string, err error) {
	switch runtime.GOOS {
	case "darwin":
		return "open", nil, nil
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler"}, nil
	}
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return "", nil, errors.New("there is no screen")
	}
	program, err = exec.LookPath("xdg-open")
	if err != nil {
		return "", nil, errors.New("xdg-open is not installed")
	}
	return program, nil, nil
}

// writeLinkPage writes a page that leads to a link, to a file that only its owner can read, and
// returns its path. The file is replaced each time; the link in it soon has no effect.
func writeLinkPage(link string) (path string, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "chatconf")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "open.html")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // its mode may be another one
		return "", err
	}
	to := html.EscapeString(link)
	text := "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"referrer\" content=\"no-referrer\">\n" +
		"<meta http-equiv=\"refresh\" content=\"0; url=" + to + "\">\n<title>chatconf</title>\n" +
		"<p><a href=\"" + to + "\">Open the console</a></p>\n</html>\n"
	return path, replaceFile(path, []byte(text), 0o600)
}
