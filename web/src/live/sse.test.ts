import { expect, test } from "bun:test"
import { Reader } from "./sse"

const STREAM = ': hello\n\nid: 4\nevent: job\ndata: {"a":\ndata: 1}\n\nid: 5\r\ndata: x\r\n\r\ndata: unfinished\n'

test("complete messages are parsed from chunks of any size", () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const reader = new Reader()
    const found = []
    for (let at = 0; at < STREAM.length; at += size) found.push(...reader.push(STREAM.slice(at, at + size)))
    expect(found).toEqual([
      { id: "4", name: "job", data: '{"a":\n1}' },
      { id: "5", name: "message", data: "x" },
    ])
  }
})

test("a message without an id keeps the last id, even of an earlier stream", () => {
  const reader = new Reader("7")
  expect(reader.push("data: a\n\n")).toEqual([{ id: "7", name: "message", data: "a" }])
})

test("an event without data is dropped, with its name", () => {
  const reader = new Reader()
  expect(reader.push("event: tick\n\ndata: b\n\n")).toEqual([{ id: "", name: "message", data: "b" }])
})
