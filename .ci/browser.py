"""Drives the pages of `web_chat` and `bottle_primer` in headless Chromium, over the WebDriver protocol.

browser.py CHROMEDRIVER_PORT CHAT PRIMER FOLDER: pictures go into FOLDER, for people; what is asserted is what the pages hold.
"""
import base64, contextlib, http.client, json, os, sys, tempfile, time

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=900,700",
]
driver, (chat, primer), pictures = int(sys.argv[1]), sys.argv[2:4], sys.argv[4]


def call(method, path, **body):
    connection = http.client.HTTPConnection("127.0.0.1", driver, timeout=60)
    connection.request(method, path, json.dumps(body) if method == "POST" else None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    value = json.loads(answer.read())["value"]
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {value['error']}: {value['message']}")
    return value


class Browser:
    """A browser with a profile of its own, so a user of its own."""

    def __init__(self, profile):
        arguments = OPTIONS + [f"--user-data-dir={profile}"]
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": arguments, "binary": os.environ["CHROMIUM"]}}}
        self.path = "/session/" + call("POST", "/session", capabilities=wanted)["sessionId"]

    def quit(self):
        call("DELETE", self.path)

    def open(self, url):
        call("POST", self.path + "/url", url=url)

    def run(self, script):
        return call("POST", self.path + "/execute/sync", script="return " + script, args=[])

    def find(self, selector):
        return self.path + "/element/" + next(iter(call("POST", self.path + "/element", using="css selector", value=selector).values()))

    def type(self, selector, text):
        element = self.find(selector)
        call("POST", element + "/clear")
        call("POST", element + "/value", text=text)

    def click(self, selector):
        call("POST", self.find(selector) + "/click", **{})

    def see(self, script, expected):
        """Waits until the page holds it."""
        end = time.monotonic() + 20
        while (seen := self.run(script)) != expected:
            assert time.monotonic() < end, f"{script}: {seen!r}, not {expected!r}"
            time.sleep(0.05)

    def picture(self, name):
        with open(os.path.join(pictures, name + ".png"), "wb") as file:
            file.write(base64.b64decode(call("GET", self.path + "/screenshot")))


LINES = "[...document.querySelectorAll('#lines p')].map(line => line.textContent)"
PEOPLE = "document.querySelector('#people').textContent"
STATE = "document.querySelector('#state').textContent"


def enter(browser, name, way, room="den"):
    browser.open(f"http://{chat}/")
    browser.type("#name", name)
    browser.type("#room", room)
    browser.click(f"#way option[value={way}]")
    browser.click("#enter button")
    browser.see(STATE, {"socket": "connected", "poll": "polling"}[way])


def say(browser, text):
    browser.type("#text", text)
    browser.click("#say button")


def talk(anna, ben, carl):
    lines = ["anna has come"]
    enter(anna, "anna", "socket")
    anna.see(LINES, lines)
    enter(ben, "ben", "poll")
    lines.append("ben has come")
    for speaker, name, text in [
        (anna, "anna", "is <b>anybody</b> there?"), (ben, "ben", "größe & \"quotes\" \\ 你好"), (anna, "anna", "three"), (ben, "ben", "four"),
    ]:
        say(speaker, text)
        lines.append(f"{name}: {text}")
        for listener in anna, ben:
            listener.see(LINES, lines)
            listener.see(PEOPLE, "on line: anna, ben")
    print("ok: one on a WebSocket and one who polls hear each other")
    for way in "poll", "socket":
        enter(carl, "carl-" + way, way)
        lines.append(f"carl-{way} has come")
        # The history comes with the room.
        carl.see(LINES, lines)
        for everybody in anna, ben:
            everybody.see(LINES, lines)
        carl.picture("chat-" + way)
        if way == "poll":
            anna.see(PEOPLE, "on line: anna, ben, carl-poll")
            # Whoever polled and closed the page has gone when the polls have stayed away for some seconds.
            carl.open("about:blank")
            say(ben, "is carl still there?")
            lines += ["ben: is carl still there?", "carl-poll has gone"]
            ben.see(LINES, lines)
    print("ok: who comes late sees the history, in both ways")
    enter(carl, "carl", "poll", "garden")
    lines.append("carl-socket has gone")
    for everybody in anna, ben:
        everybody.see(LINES, lines)
        everybody.see(PEOPLE, "on line: anna, ben")
    carl.see(LINES, ["carl has come"])
    carl.see(PEOPLE, "on line: carl")
    print("ok: the page knows who is on line, room by room")
    # Changing the way does not lose anything, nor does a name that needs quoting.
    enter(anna, "anna & co?", "poll")
    lines += ["anna has gone", "anna & co? has come"]
    anna.see(LINES, lines)
    say(anna, "from the other way")
    lines.append("anna & co?: from the other way")
    for everybody in anna, ben:
        everybody.see(LINES, lines)
        everybody.see(PEOPLE, "on line: anna & co?, ben")
    anna.picture("chat-long")
    print("ok: the way can be changed")


def first_pages(browser):
    browser.open(f"http://{primer}/")
    browser.see("document.body.innerText.includes('Your message was: \"Hello, world\"')", True)
    browser.picture("primer")
    print("ok: the primer's page shows what the WebSocket says")
    for path, expected in ("/fetch", "result 1\nresult 2\nresult 3\n"), ("/stream", "STARTMIDDLEEND"):
        browser.open(f"http://{primer}{path}")
        assert browser.run("document.body.textContent") == expected
        browser.picture("primer" + path.replace("/", "-"))
    # As they come, seen by the page's own reader of streams.
    browser.open(f"http://{primer}/")
    browser.run("""(window.pieces = [], fetch('/stream').then(async answer => {
        const reader = answer.body.getReader(), decoder = new TextDecoder();
        for (let piece; !(piece = await reader.read()).done;) pieces.push(decoder.decode(piece.value));
        pieces.push('end');
    }), null)""")
    browser.see("pieces", ["START", "MIDDLE", "END", "end"])
    print("ok: /fetch and /stream, piece by piece")


with contextlib.ExitStack() as stack:
    browsers = []
    for _ in range(3):
        browser = Browser(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        stack.callback(browser.quit)
        browsers.append(browser)
    try:
        talk(*browsers)
        first_pages(browsers[0])
    except BaseException:
        for number, browser in enumerate(browsers):
            browser.picture(f"failed-{number}")
        raise
