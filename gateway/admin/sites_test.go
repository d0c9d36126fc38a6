package admin_test

import (
	"fmt"
	"strings"
	"testing"
)

type delivery struct {
	Made, Received, Lost int
	Ratio                float64
}

type window struct {
	delivery
	Hours           int
	Browsers, Pages []struct {
		delivery
		Browser, Page string
	}
	Rows []struct {
		delivery
		Browser, Page string
	}
}

func TestSites(t *testing.T) {
	d := newDesk(t, nil)
	var all struct {
		Hours   int
		Counted struct{ UpTo, Behind, NotJudged int }
		Sites   []struct {
			Name, WriteKey string
			Delivery       delivery
		}
	}
	d.get("/admin/v1/sites").ok(&all)
	if got, want := fmt.Sprint(all), "{24 {7 2 3} [{shop wk_shop {130 122 8 0.061538}} {blog & more wk_blog {0 0 0 0}}]}"; got != want {
		t.Errorf("sites are %s, want %s", got, want)
	}
	var shop struct {
		Name, WriteKey string
		Origins        []string
		Tag            struct{ Path, Module, Immutable, Integrity, Snippet string }
		Headers        []struct{ Name, Value, Why string }
		Delivery       struct{ Day, Week window }
	}
	d.get("/admin/v1/sites/shop").ok(&shop)
	if shop.Name != "shop" || shop.Tag.Integrity != "sha384-abc" || len(shop.Headers) != 1 || len(shop.Origins) != 1 {
		t.Errorf("%+v", shop)
	}
	day, week := shop.Delivery.Day, shop.Delivery.Week
	if got, want := fmt.Sprint(day.delivery, day.Hours, day.Browsers, day.Pages), "{130 122 8 0.061538} 24 [{{120 112 8 0.066667} Chrome } {{10 10 0 0} Safari }] "+
		"[{{20 15 5 0.25}  /order/*} {{110 107 3 0.027273}  /}]"; got != want {
		t.Errorf("the day is %s, want %s", got, want)
	}
	if week.Hours != 168 || week.Lost != 128 || len(week.Rows) != 3 || week.Rows[0].Page != "/order/*" || week.Rows[0].Lost != 125 {
		t.Errorf("the week is %+v", week)
	}
	var blog struct {
		Name    string
		Origins []string
	}
	if d.get("/admin/v1/sites/blog%20%26%20more").ok(&blog); blog.Name != "blog & more" || blog.Origins == nil {
		t.Errorf("%+v", blog)
	}
	for _, name := range []string{"gone", "%zz", "<b>"} {
		if e := d.get("/admin/v1/sites/"+name).fails(404, "unknown_site"); !strings.Contains(e.Error.Message, `"shop" or "blog & more"`) {
			t.Errorf("%s: %s", name, e.Error.Message)
		}
	}
}
