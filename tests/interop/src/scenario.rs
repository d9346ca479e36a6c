//! Scenarios of SIPp, written step by step: a call that is told by MSML what is to happen (RFC
//! 5707), or that changes its media.

use std::fmt::Write;

use crate::Folder;

/// How long SIPp waits for a request, in milliseconds.
const REQUEST_LIMIT_MS: u32 = 60_000;

/// One call of one UE.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where it calls.
    target: String,
    xml: String,
    cseq: u32,
    /// Patterns so far, each of which SIPp wants a variable for.
    patterns: u32,
}

impl Scenario {
    /// Calls, offers this media, and acknowledges the answer.
    ///
    /// What is in brackets in any text is a keyword of SIPp: `[media_ip]`.
    pub fn call(target: &str, media: &str) -> Self {
        let mut scenario = Self {
            target: target.to_owned(),
            xml: String::new(),
            cseq: 0,
            patterns: 0,
        };
        scenario.offer(media, None);
        scenario
    }

    /// Offers other media, and expects an answer that matches a POSIX regular expression.
    #[must_use]
    pub fn offers(mut self, media: &str, expected: &str) -> Self {
        self.offer(media, Some(expected));
        self
    }

    /// Asks something of the MRFC in an INFO, of which the result is to match. `{conn}` is its own
    /// connection.
    #[must_use]
    pub fn asks(mut self, requests: &str, expected: &str) -> Self {
        let requests = requests.replace("{conn}", "conn:[$tag]");
        let body = format!("<?xml version=\"1.0\"?>\n<msml version=\"1.1\">{requests}</msml>");
        self.send("INFO", Some(("application/msml+xml", &body)));
        self.receive("response=\"200\"", &[expected]);
        self
    }

    /// Is told something in an INFO, which has all of these in it.
    #[must_use]
    pub fn is_told(mut self, expected: &[&str]) -> Self {
        let head = format!("request=\"INFO\" timeout=\"{REQUEST_LIMIT_MS}\"");
        self.receive(&head, expected);
        self.xml.push_str(
            "  <send>\n    <![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n\
             [last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]>\n  </send>\n",
        );
        self
    }

    /// Starts a dialog and waits for its end, of which it is told values.
    #[must_use]
    pub fn runs(self, name: &str, dialog: &str, values: &[(&str, &str)]) -> Self {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let start = format!(
            "<dialogstart target=\"{{conn}}\" name=\"{name}\">{dialog}<exit \
             namelist=\"{}\"/></dialogstart>",
            names.join(" ")
        );
        let told =
            |(name, value): &(&str, &str)| format!("<name>{name}</name>.*<value>{value}</value>");
        let told: Vec<String> = values.iter().map(told).collect();
        let mut expected = vec!["msml.dialog.exit"];
        expected.extend(told.iter().map(String::as_str));
        self.asks(&start, "response=.200.").is_told(&expected)
    }

    /// Goes on when the test gives the cue: `Mrf::cue`.
    #[must_use]
    pub fn waits_for_cue(mut self) -> Self {
        let head = format!("request=\"OPTIONS\" timeout=\"{REQUEST_LIMIT_MS}\"");
        self.receive(&head, &[]);
        self
    }

    /// Does nothing for a while.
    #[must_use]
    pub fn waits(mut self, ms: u32) -> Self {
        writeln!(self.xml, "  <pause milliseconds=\"{ms}\"/>").expect("a String grows");
        self
    }

    /// Hangs up.
    #[must_use]
    pub fn hangs_up(mut self) -> Self {
        self.send("BYE", None);
        self.receive("response=\"200\"", &[]);
        self
    }

    /// Writes it into a file, for a UE of this name; returns its path.
    pub fn write(&self, folder: &Folder, user: &str) -> String {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"{user}\">\n{}</scenario>\n",
            self.xml
        );
        let path = folder.write(&format!("scenario-{user}.xml"), text);
        path.to_str().expect("the path is text").to_owned()
    }

    fn offer(&mut self, media: &str, expected: Option<&str>) {
        let body = format!(
            "v=0\no=- [pid] {} IN IP[media_ip_type] [media_ip]\ns=-\nc=IN IP[media_ip_type] \
             [media_ip]\nt=0 0\n{}",
            self.cseq + 1,
            media.replace("\r\n", "\n")
        );
        self.send("INVITE", Some(("application/sdp", &body)));
        self.xml
            .push_str("  <recv response=\"100\" optional=\"true\"/>\n");
        match expected {
            Some(expected) => self.receive("response=\"200\"", &[expected]),
            // The first: from now on both sides have a tag.
            None => self.xml.push_str(
                "  <recv response=\"200\" rrs=\"true\">\n    <action>\n      <ereg \
                 regexp=\"tag=([^;[:space:]]+)\" search_in=\"hdr\" header=\"To:\" \
                 check_it=\"true\" assign_to=\"whole,tag\"/>\n    </action>\n  </recv>\n  \
                 <Reference variables=\"whole\"/>\n",
            ),
        }
        self.request("ACK", false, None);
    }

    fn send(&mut self, method: &str, body: Option<(&str, &str)>) {
        self.cseq += 1;
        self.request(method, true, body);
    }

    fn request(&mut self, method: &str, is_sent_again: bool, body: Option<(&str, &str)>) {
        let is_first = self.cseq == 1 && method == "INVITE";
        let target = &self.target;
        let (uri, tag) = match is_first {
            true => (target.as_str(), ""),
            false => ("[next_url]", ";tag=[$tag]"),
        };
        let again = if is_sent_again {
            " retrans=\"500\""
        } else {
            ""
        };
        let routes = if is_first { "" } else { "[routes]\n" };
        let contact = match method {
            "INVITE" => "Contact: <sip:[field0]@[local_ip]:[local_port];transport=[transport]>\n",
            _ => "",
        };
        let body = match body {
            Some((kind, body)) => {
                format!("Content-Type: {kind}\nContent-Length: [len]\n\n{body}\n")
            }
            None => "Content-Length: 0\n\n".to_owned(),
        };
        let cseq = self.cseq;
        write!(
            self.xml,
            "  <send{again}>\n    <![CDATA[\n{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] \
             [local_ip]:[local_port];branch=[branch];rport\n{routes}Max-Forwards: 70\nFrom: \
             <sip:[field0]@[field1]>;tag=[pid]S[call_number]\nTo: <{target}>{tag}\nCall-ID: \
             [call_id]\nCSeq: {cseq} {method}\n{contact}{body}]]>\n  </send>\n"
        )
        .expect("a String grows");
    }

    /// A message, of whose body all patterns are to be true.
    fn receive(&mut self, head: &str, patterns: &[&str]) {
        if patterns.is_empty() {
            return writeln!(self.xml, "  <recv {head}/>").expect("a String grows");
        }
        let mut actions = String::new();
        let mut references = String::new();
        for pattern in patterns {
            self.patterns += 1;
            let (number, pattern) = (self.patterns, escape(pattern));
            writeln!(
                actions,
                "      <ereg regexp=\"{pattern}\" search_in=\"body\" check_it=\"true\" \
                 assign_to=\"p{number}\"/>"
            )
            .expect("a String grows");
            writeln!(references, "  <Reference variables=\"p{number}\"/>").expect("a String grows");
        }
        write!(
            self.xml,
            "  <recv {head}>\n    <action>\n{actions}    </action>\n  </recv>\n{references}"
        )
        .expect("a String grows");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
