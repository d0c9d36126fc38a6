package rewrite

import "strings"

// ascii says whether each byte below 0x80 stands for the same character as in
// ASCII wherever "<", ">", quotes and white space are concerned (WHATWG
// Encoding, 4.2). ISO-2022-JP and the UTF-16s are the ones that do not; a name
// that nobody knows may be anything.
func ascii(name string) bool {
	name = strings.ToLower(strings.Trim(name, " \t\n\f\r\"';"))
	for _, prefix := range []string{"iso-8859-", "iso8859-", "windows-125", "cp125", "koi8-", "euc-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "utf-8", "utf8", "us-ascii", "ascii", "latin1", "windows-874", "macintosh", "x-mac-cyrillic", "ibm866", "gbk", "gb2312", "gb18030", "big5", "big5-hkscs", "shift_jis", "shift-jis", "sjis":
		return true
	}
	return false
}
