import { expect, test } from "bun:test"
import { browserName } from "./push"

test("a browser is named by program and system", () => {
  const chrome =
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36"
  const edge =
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0"
  const safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
  expect(browserName(chrome)).toBe("Chrome on Android")
  expect(browserName(edge)).toBe("Edge on Windows")
  expect(browserName(safari)).toBe("Safari on iPhone")
  expect(browserName("curl/8")).toBe("A browser")
})
