package enrich

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/ua-parser/uap-go/uaparser"
)

// labelled is an agent with what is true of it, where that is known: "" is not
// known. None stands for "no browser (or system) of any family".
type labelled struct {
	agent   string
	hints   hints
	browser string
	major   string // of the browser's version
	system  string
	osMajor string
	kind    string  // of the device: desktop, mobile, tablet, tv, console, wearable
	weight  float64 // part of the visitors who send it; 0: not known
	// held: no single one of these may be looked at, only counted.
	held bool
	// rare: it names a product that uap-core does not know.
	rare bool
}

// hints are client hint headers.
type hints struct {
	brands, mobile, platform, platformVersion, model, fullVersions string
}

// other is uap-core's name for what is none of its families.
const other = "Other"

// core is what is read of uap-core.
type core struct {
	browsers []labelled // test_ua.yaml
	systems  []labelled // test_os.yaml
	devices  []labelled // test_device.yaml, those whose kind their label gives away
	oracle   *uaparser.Parser
}

// heldOut splits agents into two halves that have nothing to do with what they
// say. Rules are written by looking at one; the other is counted only, so that
// its figure tells how well rules do on agents that nobody had in mind.
func heldOut(agent string) bool {
	h := fnv.New32a()
	h.Write([]byte(agent)) // never fails
	return h.Sum32()%2 == 1
}

type testCase struct {
	Agent  string `yaml:"user_agent_string"`
	Family string `yaml:"family"`
	Major  string `yaml:"major"`
	Brand  string `yaml:"brand"`
	Model  string `yaml:"model"`
}

func readCases(data []byte) ([]testCase, error) {
	var file struct {
		Cases []testCase `yaml:"test_cases"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if len(file.Cases) == 0 {
		return nil, fmt.Errorf("no test_cases")
	}
	return file.Cases, nil
}

func readCore(files map[string][]byte) (*core, error) {
	var c core
	var err error
	if c.oracle, err = uaparser.NewFromBytes(files["regexes.yaml"]); err != nil {
		return nil, fmt.Errorf("regexes.yaml: %w", err)
	}
	for _, part := range []struct {
		name string
		add  func(t *testCase)
	}{
		{"tests/test_ua.yaml", func(t *testCase) {
			c.browsers = append(c.browsers, labelled{agent: t.Agent, browser: t.Family, major: t.Major, held: heldOut(t.Agent)})
		}},
		{"tests/test_os.yaml", func(t *testCase) {
			c.systems = append(c.systems, labelled{agent: t.Agent, system: t.Family, osMajor: t.Major, held: heldOut(t.Agent)})
		}},
		{"tests/test_device.yaml", func(t *testCase) {
			if kind := kindOf(t); kind != "" {
				c.devices = append(c.devices, labelled{agent: t.Agent, kind: kind, held: heldOut(t.Agent)})
			}
		}},
	} {
		cases, err := readCases(files[part.name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		for i := range cases {
			part.add(&cases[i])
		}
	}
	return &c, nil
}

// kindOf is what a test's label says of the kind of device, where it leaves no
// doubt: by the family, brand and model that uap-core's people gave it, never
// by the agent. Most tests' labels name a model alone; those say nothing.
func kindOf(t *testCase) string {
	family, model := t.Family, t.Model
	begins := func(s string, with ...string) bool {
		for _, w := range with {
			if strings.HasPrefix(s, w) {
				return true
			}
		}
		return false
	}
	switch {
	case begins(family, "Apple Watch"):
		return "wearable"
	case begins(family, "PlayStation", "Nintendo", "Xbox"):
		return "console"
	case begins(family, "HbbTV", "NetCast.TV", "AppleTV", "Roku", "GoogleTV", "LG Google TV", "LG smartTV", "LG Web0S SmartTV",
		"Samsung SMART-TV", "Samsung SAMSUNG-SMART-TV", "WebTV"), t.Brand == "Generic_Inettv" || family == "Inettv":
		return "tv"
	case family == "iPad", begins(family, "Kindle Fire", "XiaoMi MI PAD"),
		begins(model, "Nexus 7", "Nexus 9", "Nexus 10", "SM-T", "SM-P", "GT-P", "Iconia", "IdeaTab", "MediaPad", "Transformer"):
		return "tablet"
	case family == "iPhone", family == "iPod", family == "Generic Smartphone", family == "Generic Feature Phone",
		begins(model, "Lumia", "Nexus 4", "Nexus 5", "Nexus 6", "SM-G", "SM-N9", "GT-I9", "Pixel"):
		return "mobile"
	case family == "Mac":
		return "desktop"
	}
	return ""
}
