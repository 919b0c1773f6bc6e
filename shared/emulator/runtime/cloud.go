package runtime

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// A cloud holds the differences between the two runtimes.
type cloud struct {
	name     string
	title    string
	binary   string // in the folder of the code
	variable string // the variable with the address of the runtime API
	base     string // prefix of the API's paths
	posted   int    // status when an answer is accepted
	unknown  int    // status for an id that is not in progress
	timeout  time.Duration
	retries  int
	maxBody  int
	region   string
	account  string

	env       func(in *instance) []string
	trace     func() string // makes a trace id that is not sampled
	headers   func(in *instance, c *call, h http.Header)
	timedOut  func(in *instance, c *call) errorDocument
	exited    func(in *instance, id, how string) errorDocument
	oversize  func(in *instance, size int64) errorDocument
	tooLarge  func(size, limit int) *Error
	throttled string
	report    func(r *Report) string
}

var clouds = map[Kind]*cloud{
	FC: {
		name: "fc", title: "Function Compute", binary: "main", variable: "FC_RUNTIME_API", base: "/2020-11-11/runtime/",
		posted: http.StatusOK, unknown: http.StatusNotFound,
		timeout: 60 * time.Second,
		retries: 3, // https://www.alibabacloud.com/help/en/fc/user-guide/error-handling
		maxBody: 32 << 20,
		region:  "cn-hangzhou", account: "1234567890123456",
		env: fcEnv, trace: fcTrace, headers: fcHeaders, timedOut: fcTimedOut, exited: fcExited, oversize: fcOversize,
		tooLarge:  fcTooLarge,
		throttled: "Request throttled due to the limit of instances", report: fcReport,
	},
	Lambda: {
		name: "lambda", title: "AWS Lambda", binary: "bootstrap", variable: "AWS_LAMBDA_RUNTIME_API",
		base:   "/2018-06-01/runtime/",
		posted: http.StatusAccepted, unknown: http.StatusBadRequest,
		timeout: 3 * time.Second,
		retries: 2, // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
		maxBody: 6 << 20,
		region:  "us-east-1", account: "123456789012",
		env: lambdaEnv, trace: lambdaTrace, headers: lambdaHeaders, timedOut: lambdaTimedOut, exited: lambdaExited,
		oversize: lambdaOversize, tooLarge: lambdaTooLarge,
		throttled: "Rate Exceeded.", report: lambdaReport,
	},
}

// An errorDocument is the body of a failed invocation.
type errorDocument struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType,omitempty"`
}

func (d errorDocument) outcome(f Failure) outcome {
	text, _ := json.Marshal(d) // two strings: it cannot fail
	return outcome{payload: text, contentType: "application/json", failure: f}
}

// fcEnv follows
// https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/environment-variables.
func fcEnv(in *instance) []string {
	f := &in.pool.fn
	return []string{
		"FC_FUNCTION_NAME=" + f.Name,
		"FC_FUNCTION_HANDLER=" + f.Handler,
		"FC_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.Memory),
		"FC_FUNC_CODE_PATH=" + f.Dir,
		"FC_REGION=" + f.Region,
		"FC_ACCOUNT_ID=" + f.Account,
		"FC_INSTANCE_ID=" + in.id,
		"FC_QUALIFIER=LATEST",
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + f.Credentials.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + f.Credentials.AccessKeySecret,
		"ALIBABA_CLOUD_SECURITY_TOKEN=" + f.Credentials.SecurityToken,
	}
}

// fcHeaders returns the headers that the SDK reads. The SDK rejects an invocation whose deadline or
// timeout is not an integer.
func fcHeaders(in *instance, c *call, h http.Header) {
	f := &in.pool.fn
	h.Set("X-Fc-Request-Id", c.id)
	h.Set("X-Fc-Function-Deadline", strconv.FormatInt(c.deadline.UnixMilli(), 10))
	h.Set("X-Fc-Function-Timeout", strconv.Itoa(int((f.Timeout+time.Second-1)/time.Second)))
	h.Set("X-Fc-Function-Name", f.Name)
	h.Set("X-Fc-Function-Handler", f.Handler)
	h.Set("X-Fc-Function-Memory", strconv.Itoa(f.Memory))
	h.Set("X-Fc-Region", f.Region)
	h.Set("X-Fc-Account-Id", f.Account)
	h.Set("X-Fc-Qualifier", "LATEST")
	h.Set("X-Fc-Version-Id", "LATEST")
	if f.Credentials != (Credentials{}) {
		h.Set("X-Fc-Access-Key-Id", f.Credentials.AccessKeyID)
		h.Set("X-Fc-Access-Key-Secret", f.Credentials.AccessKeySecret)
		h.Set("X-Fc-Security-Token", f.Credentials.SecurityToken)
	}
	if c.retry > 0 {
		h.Set("X-Fc-Retry-Count", strconv.Itoa(c.retry))
	}
	if c.hook != invocation {
		h.Set("X-Fc-Function-Type", strconv.Itoa(int(c.hook)))
	}
	if c.request.httpParams != "" {
		h.Set("X-Fc-Http-Params", c.request.httpParams)
	}
	if c.request.TraceID != "" {
		h.Set("X-Fc-Tracing-Opentracing-Span-Context", c.request.TraceID)
	}
}

// fcTrace returns a span context in Jaeger's format: trace, span, parent, flags.
func fcTrace() string {
	id := randomHex(8)
	return id + ":" + id + ":0:0"
}

// FC's error texts are those of its help pages on invocation errors. They have no error type.

func fcTimedOut(in *instance, _ *call) errorDocument {
	return errorDocument{Message: fmt.Sprintf("Function time out after %v seconds (maxMemoryUsage: %s)",
		in.pool.fn.Timeout.Seconds(), megabytes(in.peakLocked()))}
}

func fcExited(in *instance, _, how string) errorDocument {
	return errorDocument{Message: fmt.Sprintf("Process exited unexpectedly before completing request (%s, "+
		"maxMemoryUsage: %s)", how, megabytes(in.peakLocked()))}
}

func fcOversize(in *instance, _ int64) errorDocument {
	return errorDocument{Message: fmt.Sprintf("response payload size exceeds maximum allowed size (%d bytes)",
		in.pool.fn.MaxBody)}
}

func fcTooLarge(_, limit int) *Error {
	return &Error{Code: TooLarge, Message: fmt.Sprintf("payload size exceeds maximum allowed size (%d bytes)", limit)}
}

// fcReport is the last line of the log that FC returns on request.
func fcReport(r *Report) string {
	return fmt.Sprintf("RequestId: %s, Duration: %s ms, Billed Duration: %d ms, Memory Size: %d MB, Max Memory "+
		"Used: %s",
		r.RequestID, milliseconds(r.Duration), r.Billed.Milliseconds(), r.Memory, megabytes(r.MaxMemory))
}

func megabytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 2, 64) + "MB" }

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64)
}

// lambdaEnv follows https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
func lambdaEnv(in *instance) []string {
	f := &in.pool.fn
	return []string{
		"AWS_LAMBDA_FUNCTION_NAME=" + f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.Memory),
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=[$LATEST]" + in.id,
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_REGION=" + f.Region,
		"AWS_DEFAULT_REGION=" + f.Region,
		"AWS_ACCESS_KEY_ID=" + f.Credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + f.Credentials.AccessKeySecret,
		"AWS_SESSION_TOKEN=" + f.Credentials.SecurityToken,
		"LAMBDA_TASK_ROOT=" + f.Dir,
		"_HANDLER=" + f.Handler,
		"TZ=:UTC",
		"LANG=en_US.UTF-8",
	}
}

func (f *Function) arn() string {
	return "arn:aws:lambda:" + f.Region + ":" + f.Account + ":function:" + f.Name
}

// lambdaHeaders follows https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
func lambdaHeaders(in *instance, c *call, h http.Header) {
	h.Set("Lambda-Runtime-Aws-Request-Id", c.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", in.pool.arn)
	if c.request.TraceID != "" {
		h.Set("Lambda-Runtime-Trace-Id", c.request.TraceID)
	}
	if c.request.ClientContext != "" {
		h.Set("Lambda-Runtime-Client-Context", c.request.ClientContext)
	}
}

// lambdaTrace follows
// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader.
func lambdaTrace() string {
	return "Root=1-" + randomHex(4) + "-" + randomHex(12) + ";Parent=" + randomHex(8) + ";Sampled=0"
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b)
}

func lambdaTimedOut(in *instance, c *call) errorDocument {
	return errorDocument{
		Type: "Sandbox.Timedout",
		Message: fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", c.id,
			in.pool.fn.Timeout.Seconds()),
	}
}

func lambdaExited(_ *instance, id, how string) errorDocument {
	message := "Runtime exited with error: " + how
	if how == "exit status 0" {
		message = "Runtime exited without providing a reason"
	}
	return errorDocument{Type: "Runtime.ExitError", Message: "RequestId: " + id + " Error: " + message}
}

func lambdaOversize(in *instance, size int64) errorDocument {
	return errorDocument{
		Type: "Function.ResponseSizeTooLarge",
		Message: fmt.Sprintf("Response payload size (%d bytes) exceeded maximum allowed payload size (%d bytes).", size,
			in.pool.fn.MaxBody),
	}
}

func lambdaTooLarge(size, limit int) *Error {
	return &Error{Code: TooLarge, Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction "+
		"operation", limit)}
}

func lambdaReport(r *Report) string {
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %s ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax "+
		"Memory Used: %d MB",
		r.RequestID, milliseconds(r.Duration), r.Billed.Milliseconds(), r.Memory, (r.MaxMemory+1<<20-1)>>20)
	if r.Init > 0 {
		line += "\tInit Duration: " + milliseconds(r.Init) + " ms"
	}
	switch r.Failure {
	case TimedOut:
		line += "\tStatus: timeout"
	case Exited, InitFailed:
		line += "\tStatus: error\tError Type: Runtime.ExitError"
	}
	return line
}

func randomID(k Kind) string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	if k == FC {
		return fmt.Sprintf("1-%x-%x-%x", b[:4], b[4:10], b[10:])
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
