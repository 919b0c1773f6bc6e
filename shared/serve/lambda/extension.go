package lambda

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// extensionName is the name of the internal extension, which is what aws-lambda-go calls its own.
const extensionName = "GoLangEnableSIGTERM"

// registerTime is how long the platform has to answer a registration.
const registerTime = 3 * time.Second

// maxIdentifier is how long the identifier of an extension may be. It is a UUID.
const maxIdentifier = 128

// register registers an internal extension that hears of nothing: where there is one, Lambda sends SIGTERM before it kills. The extension then says that
// it is ready, by a request that is never answered: the connection is to be kept as long as the extension is there.
//
// aws-lambda-go's WithEnableSIGTERM does the same through HTTP clients of its own once the program is warm, which costs a cold start half a millisecond;
// this does it meanwhile. See https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html.
func register(ctx context.Context, address string) (io.Closer, error) {
	conn, err := (&net.Dialer{Timeout: registerTime}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("extension: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := ready(conn, address); err != nil {
		conn.Close()
		return nil, fmt.Errorf("extension: %w", err)
	}
	return conn, nil
}

// ready registers over a connection, and asks for the event that never comes.
func ready(conn net.Conn, address string) error {
	if err := conn.SetDeadline(time.Now().Add(registerTime)); err != nil {
		return err
	}
	const body = `{"events":[]}`
	if _, err := fmt.Fprintf(conn, "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: %s\r\nLambda-Extension-Name: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		address, extensionName, len(body), body); err != nil {
		return err
	}
	id, err := registered(conn)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: %s\r\nLambda-Extension-Identifier: %s\r\n\r\n", address, id); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// registered reads the answer to a registration, and returns the extension's identifier.
func registered(r io.Reader) (id string, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(r), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return "", err
	}
	id = resp.Header.Get("Lambda-Extension-Identifier")
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the platform answers %d to the registration", resp.StatusCode)
	case resp.Close:
		return "", errors.New("the platform closes the connection")
	case id == "" || len(id) > maxIdentifier || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("the platform gave no identifier")
	}
	return id, nil
}
