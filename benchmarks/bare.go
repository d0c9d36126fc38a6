package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/benchmarks/serve"
)

// bareCommand makes this program the bare handler: what a gateway that does
// nothing would cost. It reads the same bodies and answers as many bytes.
const bareCommand = "bare"

// serveBare runs until its standard input ends, which it does with its parent,
// however that ends. Its first line of output is its URL.
func serveBare(args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet(bareCommand, flag.ContinueOnError)
	interact := f.Int("interact", 1000, "bytes of body to answer to /v1/interact")
	profile := f.Int("profile", 1000, "bytes of body to answer to /v1/profile")
	if err := f.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &fasthttp.Server{Handler: bareHandler(*interact, *profile), NoDefaultDate: true, NoDefaultServerHeader: true}
	if _, err := fmt.Fprintf(out, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	return <-ended
}

func bareHandler(interact, profile int) fasthttp.RequestHandler {
	answers := map[string][]byte{"/v1/interact": filler(interact), "/v1/profile": filler(profile)}
	return func(ctx *fasthttp.RequestCtx) {
		body := ctx.PostBody()
		answer := answers[string(ctx.Path())]
		if len(body) == 0 || answer == nil {
			ctx.SetStatusCode(fasthttp.StatusBadRequest)
			return
		}
		ctx.SetContentType("application/json")
		ctx.SetBody(answer)
	}
}

// filler is n bytes of JSON text.
func filler(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	if n >= 2 {
		b[0], b[n-1] = '"', '"'
	}
	return b
}

// runBare is the hidden command.
func runBare(args []string) int {
	if err := serveBare(args, os.Stdin, os.Stdout); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(os.Stderr, "bare handler: %v\n", err)
		return 1
	}
	return 0
}

// startBare runs this program again as the bare handler.
func startBare(self []string, interact, profile int) (*serve.Server, error) {
	command := append(append([]string{}, self...), bareCommand, fmt.Sprintf("-interact=%d", interact), fmt.Sprintf("-profile=%d", profile))
	s, out, err := serve.Start("bare handler", command)
	if err != nil {
		return nil, err
	}
	line, err := out.ReadString('\n')
	go s.Watch(out)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bare handler gave no address: %w", err), s.Stop())
	}
	s.Site = strings.TrimSpace(line)
	return s, nil
}
