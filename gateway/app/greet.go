package app

import (
	"fmt"
	"strings"
)

// greet tells an operator what runs where and what to try next; more of it at
// the first start, when everything is new.
func (a *App) greet() {
	out := a.o.Stdout
	if out == nil {
		return
	}
	f := a.front.Load()
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("")
	say("  Reuna is ready.")
	say("")
	if f.demo != nil {
		say("    Demo shop   %s/demo/", a.SiteURL())
	}
	say("    Gateway     %s", a.SiteURL())
	say("    Desk        %s", a.DeskURL())
	say("    Data        %s", a.cfg.DataDir)
	say("")
	if !a.first {
		return
	}
	say("  Paste this into the <head> of your site's pages:")
	say("")
	say("%s", indent(a.pasted(f)))
	say("")
	if a.keys.master.file != "" {
		made := ""
		if a.created {
			made = ", made just now"
		}
		say("  Keep %s: it is the master key%s. Without it the data can", a.keys.master.file, made)
		say("  never be read again, and whoever has both can read everything. Back it up apart from the data:")
		say("    cp %s SAFE-PLACE/     or move it there, and set  master_key: file:SAFE-PLACE/%s", a.keys.master.file, masterFile)
		say("")
	}
	say("  What to try next:")
	n := 0
	step := func(format string, args ...any) {
		n++
		say("    %d. "+format, append([]any{n}, args...)...)
	}
	if f.demo != nil {
		step("Open the demo shop, look at three thrillers, and go back to its front page.")
	}
	step("Send an event:  curl %s%s/track -u %s: -d '{\"event\":\"Hello\",\"userId\":\"me\"}'", a.SiteURL(), f.cfg.APIPrefix, f.main.WriteKey)
	if a.keys.adminFile != "" {
		step("See who that is: curl -H \"Authorization: Bearer $(cat %s)\" %s/admin/v1/persons/user_id:me", a.keys.adminFile, a.DeskURL())
	} else {
		step("See who that is: curl -H \"Authorization: Bearer YOUR_ADMIN_KEY\" %s/admin/v1/persons/user_id:me", a.DeskURL())
	}
	step("Write a config file (README.md, \"Your own site\") and start with -config FILE.")
	say("")
}

// pasted is the snippet with the script's full address, as a page on another
// host needs it.
func (a *App) pasted(f *front) string {
	return strings.Replace(f.snippet(f.main), ` src="/`, ` src="`+a.SiteURL()+`/`, 1)
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
