package enrich

import (
	"testing"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

func TestLanguage(t *testing.T) {
	l := newLanguages(64)
	for said, want := range map[string]string{
		"":                             "",
		"en":                           "en",
		"en-gb":                        "en-GB",
		"EN_us.UTF-8":                  "en-US",
		"ca_ES@valencia":               "ca-ES",
		"zh-hant-tw":                   "zh-Hant-TW",
		"iw":                           "he", // the registry's present name
		"fi-FI,fi;q=0.9,en;q=0.8":      "fi-FI",
		"en;q=0.5, sv-SE ;q=0.9, *":    "sv-SE",
		"*":                            "",
		"C":                            "",
		"de-DE-u-co-phonebk":           "de-DE",
		"xx-this-is-no-language-at":    "",
		"en;q=nonsense,fr;q=0.1":       "fr",
		"<script>":                     "",
		"en-US,en;q=0.9\u0000\u00ff":   "en-US",
		"es-419,es;q=0.9":              "es-419",
		"q=1;en":                       "",
		"no-NO":                        "no-NO",
		"und":                          "",
		"pt-br;q=1.0, pt;q=1.0":        "pt-BR",
		"sr-Latn-RS, sr;q=0.8, en;q=1": "sr-Latn-RS",
	} {
		for range 2 { // read, and remembered
			if got := l.tag(said); got != want {
				t.Errorf("tag(%q) = %q, want %q", said, got, want)
			}
		}
	}
}

func TestTimezoneAndScreen(t *testing.T) {
	for said, want := range map[string]string{
		"Europe/Helsinki": "Europe/Helsinki", "America/Argentina/Buenos_Aires": "America/Argentina/Buenos_Aires", "Etc/GMT+3": "Etc/GMT+3", "UTC": "UTC",
		"": "", "+02:00": "", "Europe/Helsinki'--": "", "eastern": "", "A": "",
	} {
		if got := timezone(said); got != want {
			t.Errorf("timezone(%q) = %q, want %q", said, got, want)
		}
	}
	words := memo.NewInterner(16)
	for said, want := range map[event.Value]string{
		`{"width":1920,"height":1080,"density":2}`: "1920x1080", `{"width":390.4,"height":844}`: "390x844",
		"": "", `{"width":0,"height":5}`: "", `{"width":1e9,"height":5}`: "", `{"width":"1920","height":"x"}`: "", `[1,2]`: "",
	} {
		if got := screen(said, words); got != want {
			t.Errorf("screen(%s) = %q, want %q", said, got, want)
		}
	}
}

// An iPad says that it is a Mac; its screen tells.
func TestIPad(t *testing.T) {
	e := newEnricher(t, Options{})
	const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15"
	ipad := event.Device{Type: "tablet", OS: "iOS", OSVersion: "18.4", Browser: "Mobile Safari", BrowserVersion: "18.4", Vendor: "Apple", Model: "iPad"}
	for _, c := range []struct {
		agent         string
		width, height int
		want          event.Device
	}{
		{mac, 820, 1180, ipad},
		{mac, 1032, 1376, ipad},
		{mac, 1180, 820, event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "10.15.7", Browser: "Safari", BrowserVersion: "18.4", Vendor: "Apple"}},
		{mac, 1080, 1920, event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "10.15.7", Browser: "Safari", BrowserVersion: "18.4", Vendor: "Apple"}}, // a display on its side
		{chromeWindows, 768, 1024, event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
	} {
		ev := pageEvent(t, event.FromTag, o{"screen": o{"width": c.width, "height": c.height}})
		e.Enrich(ev, &Input{UserAgent: c.agent})
		got := ev.Device
		got.Screen, got.Vendor, c.want.Vendor = "", "", ""
		if got != c.want {
			t.Errorf("%d x %d: %+v, want %+v", c.width, c.height, got, c.want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, s := range []string{"fi-FI,fi;q=0.9", "en_GB.UTF-8", "*;q=0", ",,,;;;=", "i-klingon"} {
		f.Add(s)
	}
	l := newLanguages(16)
	f.Fuzz(func(t *testing.T, said string) {
		tag := l.tag(said)
		if again := l.tag(tag); again != tag {
			t.Errorf("the tag of %q is %q, and of that %q", said, tag, again)
		}
	})
}
