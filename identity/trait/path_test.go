package trait

import (
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// TestScalarsAreWrittenOneWay: however a text came, the same one is kept alike.
func TestScalarsAreWrittenOneWay(t *testing.T) {
	for in, want := range map[string]string{
		`"crime"`:      `"crime"`,
		`" crime "`:    `"crime"`,
		`"cr\u0069me"`: `"crime"`,
		`"a&b"`:        `"a\u0026b"`,
		`"a\u0026b"`:   `"a\u0026b"`,
		`"<i>"`:        `"\u003ci\u003e"`,
		`"ä"`:          `"ä"`,
		`"\u00e4"`:     `"ä"`,
		"\"x\u2028y\"": `"x\u2028y"`,
		`"a\"b"`:       `"a\"b"`,
		`"a\\"`:        `"a\\"`,
		`" "`:          ``,
		`12.50`:        `12.50`,
		`true`:         `true`,
		`null`:         ``,
		`[1]`:          ``,
	} {
		if got := scalarOf(event.Value(in)); got != want {
			t.Errorf("%s is kept as %s, want %s", in, got, want)
		}
	}
}
