/** How devices come to trust the certificate of a hub in the local network. */
import { Copy, More } from "./parts"

const STEPS: [device: string, steps: string[]][] = [
  [
    "iPhone and iPad",
    [
      "Send the file to the phone by AirDrop or e-mail, and open it there.",
      "Settings, General, VPN & Device Management: install the profile. Under “More Details”, compare the fingerprint.",
      "Settings, General, About, Certificate Trust Settings: switch it on.",
    ],
  ],
  [
    "Android",
    [
      "Send the file to the phone.",
      "Settings, Security, More, Encryption & credentials, Install a certificate, CA certificate: choose the file.",
      "Settings, Security, Trusted credentials, User: compare the fingerprint.",
    ],
  ],
  ["Windows", ["Open the file. Install it for the current user, into “Trusted Root Certification Authorities”."]],
  ["Mac", ["Open the file with Keychain Access. Open the certificate there, then Trust, Always Trust."]],
]

export function Trust({ origin, fingerprint }: { origin: string; fingerprint: string }) {
  return (
    <div class="stack">
      <p>
        Each device has to trust this hub’s certificate once, or it warns that the connection is not private. The
        certificate is good for <span class="address">{origin.replace(/^https:\/\/|:\d+$/g, "")}</span> only.
      </p>
      <div>
        <a class="button" href="/api/reach/certificate" download="parachute.crt">
          Download the certificate
        </a>
      </div>
      <p>Its fingerprint (SHA-256). A device must show the same:</p>
      <Copy text={fingerprint} label="Fingerprint" />
      {STEPS.map(([device, steps]) => (
        <More key={device} label={device}>
          <ol class="plain-list">
            {steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        </More>
      ))}
    </div>
  )
}
