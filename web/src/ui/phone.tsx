/** A QR code that opens Notes on a phone: made here, opened there, and let in here. */
import { useEffect, useState } from "preact/hooks"
import { opensOnlyHere } from "../address"
import { Refusal } from "../api/hub"
import type { PhoneLink, PhoneLinkState } from "../api/shapes"
import { hub, modules } from "../app"
import { Button, Card, Copy, More } from "./parts"
import { QrPicture } from "./qrpicture"

const LINKS = "/api/phone-links"

export function PhoneCard({ address }: { address: string }) {
  const [link, setLink] = useState<PhoneLink | null>(null)
  const [told, setTold] = useState<PhoneLinkState | "ended" | null>(null)
  const notes = modules.installed.value.find(({ short }) => short === "notes")
  const app = notes ? notes.display_name : "your hub"
  const make = async () => {
    setTold(null)
    setLink(await hub.call<PhoneLink>("POST", LINKS, { next: notes?.management_url ?? "/" }))
  }
  const answer = (allow: boolean) => async () => {
    if (link) setTold(await hub.call<PhoneLinkState>("POST", `${LINKS}/${link.id}/answer`, { allow }))
  }
  const state = told === "ended" ? told : told?.state
  useEffect(() => {
    if (!link || state === "allowed" || state === "refused" || state === "ended") return
    const timer = setInterval(async () => {
      try {
        setTold(await hub.call<PhoneLinkState>("GET", `${LINKS}/${link.id}`))
      } catch (failure) {
        // Only the hub knows that it ended; a lost answer says nothing.
        if (failure instanceof Refusal && failure.status === 404) setTold("ended")
      }
    }, link.interval * 1000)
    return () => clearInterval(timer)
  }, [link, state])
  const waits = link !== null && (state === undefined || state === "waiting")
  return (
    <Card title={`Open ${app} on your phone`}>
      {address.startsWith("https://") && !opensOnlyHere(address) ? (
        <>
          <p>
            Scan a code with your phone’s camera, then let the phone in here. It can use your notes, but not manage the
            hub.
          </p>
          {/\.local(:|$)/.test(address) && (
            <p class="quiet">
              If the phone warns about the connection, stop there and install the hub’s certificate first.
            </p>
          )}
          <div role="status" class="stack">
            {waits && (
              <>
                <QrPicture url={link.qr_data_url} label="QR code for your phone" />
                <p class="quiet">It works once, for two minutes.</p>
                <More label="No camera?">
                  <Copy text={link.url} label="Link for your phone" />
                </More>
              </>
            )}
            {told !== null && told !== "ended" && told.state === "opened" && (
              <>
                <p>
                  <strong>{told.device}</strong> at {told.address} wants to sign in. Does your phone show the number{" "}
                  <strong class="number">{told.number}</strong>?
                </p>
                <div class="row">
                  <Button kind="primary" act={answer(true)}>
                    Allow
                  </Button>
                  <Button kind="danger" act={answer(false)}>
                    Don’t let it in
                  </Button>
                </div>
              </>
            )}
            {state === "allowed" && (
              <p class="notice good">
                Your phone is signed in. You can sign it out under <a href="/account/sessions">Sessions and devices</a>.
              </p>
            )}
            {state === "refused" && <p class="notice">It was not let in.</p>}
            {state === "ended" && <p class="notice">The code has expired.</p>}
          </div>
          {!waits && state !== "opened" && (
            <div>
              <Button kind={link ? undefined : "primary"} act={make}>
                {link ? "Show a new code" : "Show the code"}
              </Button>
            </div>
          )}
        </>
      ) : (
        <p>Your phone cannot reach {address} safely. Open one of the ways below first.</p>
      )}
    </Card>
  )
}
