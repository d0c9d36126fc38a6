package pageurl

import (
	"strings"
	"unsafe"
)

// rule is why something is changed, or what a parameter is.
type rule uint8

const (
	ruleNone rule = iota
	// What a parameter's name says.
	ruleKeep       // url.keep
	ruleDrop       // url.drop
	ruleLink       // our own
	ruleCampaign   // a campaign tag
	ruleClick      // an advertiser's id of a click
	ruleRecipient  // a mail's recipient; a browser's id on its way to another site
	ruleSecret     // opens something
	ruleSecretWord // opens something, or is a common word
	ruleMail       // an e-mail address
	rulePerson     // about a person
	ruleCode       // of OAuth, or of a promotion
	ruleState      // of OAuth, or of the United States
	// What was found.
	ruleEmail
	ruleJWT
	ruleRandom
	ruleAction
	ruleNumber
	// What was normalised.
	ruleBreaks
	ruleUser
	ruleCase
	rulePort
	ruleIDN
	ruleHostMail
	ruleSlash
	ruleFragment
	ruleTracking
	ruleMailto
	rulePhone
	ruleData
	ruleScheme
)

// about says the rule in words.
func (r rule) about() string {
	switch r {
	case ruleDrop:
		return "url.drop names the parameter"
	case ruleLink:
		return "the gateway's own link parameter"
	case ruleRecipient:
		return "the parameter names a mail's recipient, or carries a browser's id to another site"
	case ruleSecret:
		return "the parameter's name says that it opens something or is a session"
	case ruleSecretWord:
		return "the parameter's name says that it may open something, and the value is no word"
	case ruleMail:
		return "the parameter's name says that it is an e-mail address"
	case rulePerson:
		return "the parameter's name says that it is about a person"
	case ruleCode, ruleState:
		return "code beside state, or behind a path about signing in (OAuth)"
	case ruleEmail, ruleHostMail:
		return "an e-mail address: plain, escaped, or in base64"
	case ruleJWT:
		return "a JSON Web Token, or other JSON in base64"
	case ruleRandom:
		return "24 random characters or more, of no form that ids of pages have"
	case ruleAction:
		return "a code behind a path's word such as reset, verify or invite"
	case ruleNumber:
		return "a payment card's or a bank account's number, its check digits right"
	case ruleBreaks:
		return "blanks around an address, tabs and line breaks in it"
	case ruleUser:
		return "user and password before the host"
	case ruleCase:
		return "scheme and host are written in lower case"
	case rulePort:
		return "the scheme's own port is not written"
	case ruleIDN:
		return "url.idn"
	case ruleSlash:
		return "url.trailing_slash"
	case ruleFragment:
		return "url.fragment: drop, and it is no route"
	case ruleTracking:
		return "url.tracking: drop"
	case ruleMailto, rulePhone:
		return "the scheme says that a person's address follows"
	case ruleData:
		return "data: holds a file, not an address"
	case ruleScheme:
		return "schemes are written in lower case"
	}
	return ""
}

// replaces says that the value of a parameter with this rule may have to go.
func (r rule) replaces() bool { return r >= ruleRecipient && r <= rulePerson }

func (r rule) isPersonal() bool { return r == ruleMail || r == rulePerson }

func (r rule) marker() string {
	switch r {
	case ruleMail:
		return "[email]"
	case rulePerson:
		return "[removed]"
	}
	return "[token]"
}

// maxName is how many characters of a parameter's name are read: its last ones.
const maxName = 48

// judge says what a parameter is by its name s[from:to], however it is escaped
// and whatever is between its words: resetToken, reset-token, user[reset_token].
func judge(s string, from, to int) rule {
	if from == to || s[from] == '[' {
		return ruleNone // a mark of ours, or nothing's name
	}
	if strings.HasPrefix(s[from:to], "utm_") {
		return ruleCampaign
	}
	if to-from > 6*maxName {
		from = to - 6*maxName
	}
	var full, bare [maxName]byte // in lower case; bare without what parts words
	n, m := 0, 0
	for i := from; i < to; {
		c, width := s[i], 1
		if c == '%' || c == '\\' {
			c, width, _ = char(s[:to], i, c == '\\')
		}
		i += width
		if kinds[c]&isUpper != 0 {
			c |= 0x20
		}
		if n == len(full) {
			n = copy(full[:], full[n/2:])
		}
		full[n] = c
		n++
		switch c {
		case '-', '_', '.', '[', ']', ' ', '+', '$', ':':
			continue
		}
		if m == len(bare) {
			m = copy(bare[:], bare[m/2:])
		}
		bare[m] = c
		m++
	}
	if n == 0 {
		return ruleNone
	}
	if r := marked(unsafe.String(&full[0], n)); r != ruleNone || m == 0 {
		return r
	}
	name := unsafe.String(&bare[0], m)
	if r := whole(name); r != ruleNone {
		return r
	}
	if m > 3 && kinds[name[m-1]]&isDigit != 0 { // email2
		if bare := strings.TrimRight(name, "0123456789"); len(bare) > 3 {
			if r := whole(bare); r != ruleNone {
				return r
			}
			name = bare
		}
	}
	return ending(name)
}

// marked knows the parameters of advertisements and mails: those of
// gateway/enrich/traffic, and what follows their pattern.
func marked(name string) rule {
	switch name {
	case "_reuna":
		return ruleLink
	case "gclid", "gbraid", "wbraid", "dclid", "msclkid", "yclid", "sznclid", "bd_vid", "qhclickid", "gdt_vid", "n_keyword_id", "vmcid",
		"ttclid", "twclid", "li_fat_id", "rdt_cid", "qclid", "sccid", "ndclid", "rb_clickid", "tblci", "dicbo", "oborigurl", "cto_pld",
		"irclickid", "awc", "zanpid", "cjevent", "tduid", "sscid", "ransiteid", "admitad_uid", "gad_campaignid", "gad_source",
		"srsltid", "ysclid", "igshid", "igsh", "epik", "fbclid", "mc_cid", "_hsmi", "wickedid", "gclsrc", "s_kwcid", "ef_id", "irgwc":
		return ruleClick
	case "mc_eid", "_hsenc", "_kx", "mkt_tok", "vero_id", "oly_enc_id", "ck_subscriber_id", "ml_subscriber", "omnisendcontactid", "vgo_ee",
		"dm_i", "ml_subscriber_hash", "oly_anon_id", "__s", "_gl", "_ga", "_openstat", "hsctatracking", "__hstc", "__hssc", "__hsfp":
		return ruleRecipient
	}
	switch {
	case strings.HasPrefix(name, "utm_"), strings.HasPrefix(name, "mtm_"), strings.HasPrefix(name, "matomo_"), strings.HasPrefix(name, "pk_"), strings.HasPrefix(name, "piwik_"):
		return ruleCampaign
	case strings.HasSuffix(name, "clid"), strings.HasSuffix(name, "clkid"), strings.HasSuffix(name, "clickid"), strings.HasSuffix(name, "click_id"):
		return ruleClick
	}
	return ruleNone
}

func whole(name string) rule {
	switch name {
	// Sessions, by the frameworks' names.
	case "sid", "ssid", "sess", "session", "sessionid", "sessid", "sessionkey", "phpsessid", "jsessionid", "aspsessionid", "aspnetsessionid", "cfid", "cftoken",
		"connectsid", "sessionstate", "viewstate", "zenid", "oscsid", "xsid",
		// Tokens and keys.
		"auth", "authorization", "authcode", "authkey", "authtoken", "bearer", "jwt", "key", "apikey", "appkey", "accesskey", "secretkey", "privatekey",
		"licensekey", "confirmkey", "securekey", "resetkey", "activationkey", "activationcode", "confirmationcode", "verificationcode", "verifycode",
		"resetcode", "invitecode", "logincode", "devicecode", "usercode", "magiclink", "nonce", "wpnonce", "csrf", "xsrf", "otp", "totp",
		"mfa", "2fa", "mfacode", "pin", "pincode", "passcode", "credential", "credentials", "ott", "tok",
		// Passwords, also as they are called elsewhere.
		"pass", "passwd", "password", "pwd", "passphrase", "passwort", "kennwort", "motdepasse", "contrasena", "wachtwoord", "salasana", "losenord", "senha", "haslo",
		// Signed addresses: AWS, Google, Azure and CloudFront.
		"secret", "sig", "signature", "hmac", "xamzsignature", "xamzcredential", "xamzsecuritytoken", "xgoogsignature", "xgoogcredential", "awsaccesskeyid",
		"googleaccessid", "keypairid",
		// Single sign-on: OAuth 2.0 and OpenID Connect, OAuth 1.0, SAML, CAS, WS-Federation.
		"codeverifier", "codechallenge", "oauthtoken", "oauthverifier", "oauthsignature", "oauthnonce", "idtokenhint", "assertion", "clientassertion",
		"ticket", "samlresponse", "samlrequest", "samlart", "relaystate", "wresult", "wctx", "ltpatoken":
		return ruleSecret
	case "hash", "sign", "checksum", "verify", "verification", "confirm", "confirmation", "activate", "activation", "invite", "invitation", "unsubscribe", "optout",
		"recover", "recovery", "magic", "sso", "policy", "rp", "hk":
		return ruleSecretWord
	case "e", "em", "email", "mail", "emailaddress", "emailaddr", "mailaddress", "loginhint", "mailto", "sahkoposti", "epost", "correo", "courriel", "emailid":
		return ruleMail
	case "phone", "phoneno", "phonenumber", "tel", "telephone", "telefon", "telefono", "mobile", "mobileno", "mobilenumber", "cell", "cellphone", "msisdn", "whatsapp", "fax", "puhelin",
		"firstname", "fname", "givenname", "forename", "vorname", "prenom", "etunimi", "lastname", "lname", "surname", "familyname", "nachname", "sukunimi", "middlename",
		"fullname", "customername", "contactname", "recipientname", "username", "usr", "login", "nickname",
		"ssn", "socialsecuritynumber", "nationalid", "personnummer", "hetu", "passport", "passportnumber", "taxid", "iban", "accountnumber",
		"cardnumber", "cardno", "ccnumber", "creditcard", "cvv", "cvv2", "cvc", "cvc2", "pan",
		"birthdate", "birthday", "dateofbirth", "dob", "birthyear", "address", "address1", "address2", "addressline1", "addressline2", "street", "streetaddress",
		"shippingaddress", "billingaddress", "ip", "ipaddress", "clientip", "userip":
		return rulePerson
	case "code":
		return ruleCode
	case "state":
		return ruleState
	}
	return ruleNone
}

// ending judges a name of several words by the last one, as in
// checkout.customer[email], inviteToken.
func ending(name string) rule {
	has := func(end string) bool { return strings.HasSuffix(name, end) }
	switch name[len(name)-1] {
	case 'n':
		if has("token") {
			return ruleSecret
		}
	case 'd':
		if has("password") || has("passwd") || has("pwd") || has("sessionid") || has("sessid") {
			return ruleSecret
		}
	case 'e':
		switch {
		case has("signature") || has("passcode") || has("authcode") || has("nonce"):
			return ruleSecret
		case has("firstname") || has("lastname") || has("fullname") || has("surname") || has("username") || has("birthdate"):
			return rulePerson
		case has("phone") && !has("iphone") && !has("headphone") && !has("smartphone") && !has("microphone"):
			return rulePerson
		}
	case 't':
		if has("secret") {
			return ruleSecret
		}
	case 'y':
		if has("apikey") || has("accesskey") || has("secretkey") || has("privatekey") {
			return ruleSecret
		}
		if has("birthday") {
			return rulePerson
		}
	case 'l':
		if has("email") {
			return ruleMail
		}
	case 's':
		if has("emailaddress") {
			return ruleMail
		}
	case 'r':
		if has("phonenumber") || has("mobilenumber") || has("cardnumber") {
			return rulePerson
		}
	}
	switch {
	case strings.HasPrefix(name, "aspsessionid"):
		return ruleSecret
	case strings.HasPrefix(name, "reset"):
		return ruleSecretWord
	}
	return ruleNone
}

// own is the site's own rule for a parameter.
func (c *Cleaner) own(s string, from, to int) rule {
	if len(c.names) == 0 || to-from > 6*maxName {
		return ruleNone
	}
	var buf [6 * maxName]byte
	n := 0
	for i := from; i < to; n++ {
		b, width, _ := char(s[:to], i, false)
		if kinds[b]&isUpper != 0 {
			b |= 0x20
		}
		buf[n] = b
		i += width
	}
	return c.names[string(buf[:n])]
}
