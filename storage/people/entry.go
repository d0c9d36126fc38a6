package people

import (
	"fmt"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/wire"
)

// Kinds of log entries: the first byte of each. Everything the store knows
// follows from them. (storage/FORMAT.md)
const (
	entryEvent   = 1 // event.AppendBinary
	entryRefused = 2 // a message that was refused, for the quarantine
	entrySession = 3 // a session began or ended
)

// Session is what a visitor's cookie stands for on the server.
type Session struct {
	User    string // the user whose token was shown; "" when nobody
	Until   int64  // ms
	Token   Hash   // the token that began it
	Revoked bool   // reset: the cookie is worth nothing any more
	Seq     uint64 // the entry that said so; the last one holds
}

// Live gives the user of a session that still counts at now, or "".
func (x Session) Live(now int64) string {
	if x.Revoked || now >= x.Until {
		return ""
	}
	return x.User
}

func appendSession(dst []byte, visitor string, x Session) []byte {
	dst = append(dst, entrySession, 1)
	dst = wire.AppendText(dst, visitor)
	dst = wire.AppendText(dst, x.User)
	dst = wire.AppendInt(dst, x.Until)
	dst = append(dst, x.Token[:]...)
	return append(dst, flag(x.Revoked))
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func parseSession(record string) (visitor string, x Session, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	visitor, x.User, x.Until = r.Text(), r.Text(), r.Int()
	for i := range x.Token {
		x.Token[i] = r.Byte()
	}
	x.Revoked = r.Byte() == 1
	if !r.Done() || version != 1 {
		return "", x, fmt.Errorf("a session's record is corrupt")
	}
	return visitor, x, nil
}

// Refused is a message that was turned away, as the quarantine keeps it.
type Refused struct {
	Seq        uint64
	Site       string
	Source     event.Source
	ReceivedAt int64
	Code       event.Code
	Field      string
	Message    string
	Raw        string // the message's own text, as it was sent
}

func (x *Refused) append(dst []byte) []byte {
	dst = append(dst, entryRefused, 1, byte(x.Source))
	dst = wire.AppendInt(dst, x.ReceivedAt)
	for _, s := range [...]string{x.Site, string(x.Code), x.Field, x.Message, x.Raw} {
		dst = wire.AppendText(dst, s)
	}
	return dst
}

func parseRefused(record string) (x Refused, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	x.Source, x.ReceivedAt, x.Site = event.Source(r.Byte()), r.Int(), r.Text()
	x.Code, x.Field, x.Message, x.Raw = event.Code(r.Text()), r.Text(), r.Text(), r.Text()
	if !r.Done() || version != 1 {
		return x, fmt.Errorf("a refused message's record is corrupt")
	}
	return x, nil
}
