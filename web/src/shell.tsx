/** The frame around every page: navigation, the signed-in person, connection status. */
import type { ComponentType } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import { contact, hub, me, modules, newer } from "./app"
import { About } from "./pages/about"
import { Activity } from "./pages/activity"
import { Apps } from "./pages/apps"
import { BackupsPage } from "./pages/backups"
import { Home } from "./pages/home"
import { ModulePage } from "./pages/module"
import { ModulesPage } from "./pages/modules"
import { NoticesPage } from "./pages/notices"
import { People } from "./pages/people"
import { ReachPage } from "./pages/reach"
import { RestorePage } from "./pages/restore"
import { Settings } from "./pages/settings"
import { SpacePage } from "./pages/space"
import { Tokens } from "./pages/tokens"
import { Vaults } from "./pages/vaults"
import { route } from "./router"
import { Questions } from "./ui/dialog"
import { Icon } from "./ui/icons"
import { Notices, report, undo } from "./ui/notices"
import { Head, Waiting } from "./ui/parts"
import { UndoBar } from "./ui/undobar"

interface Place {
  path: string
  icon: string
  label: string
  page: ComponentType
}

const PLACES: Place[] = [
  { path: "", icon: "home", label: "Home", page: Home },
  { path: "modules", icon: "modules", label: "Modules", page: ModulesPage },
  { path: "vaults", icon: "vaults", label: "Vaults", page: Vaults },
  { path: "apps", icon: "apps", label: "Connected apps", page: Apps },
  { path: "tokens", icon: "tokens", label: "Tokens", page: Tokens },
  { path: "people", icon: "people", label: "People", page: People },
  { path: "space", icon: "space", label: "Storage", page: SpacePage },
  { path: "backups", icon: "backups", label: "Backups", page: BackupsPage },
  { path: "notices", icon: "notices", label: "Notices", page: NoticesPage },
  { path: "settings", icon: "settings", label: "Settings", page: Settings },
  { path: "activity", icon: "activity", label: "Activity", page: Activity },
  { path: "about", icon: "about", label: "About", page: About },
]
/** Entries that a phone shows directly; the others are behind "More". */
const NEAR = 3

export function Shell() {
  const [first = "", second, third] = route.value
  const place = PLACES.find(({ path }) => path === first)
  const Page = place?.page ?? Missing
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class="shell">
        <Navigation here={first} />
        <main id="main">
          <Contact />
          <div class="notices">
            <UndoBar />
            <Notices />
          </div>
          {!me.value && <Waiting lines={6} />}
          {me.value && (inner(first, second, third) ?? <Page />)}
        </main>
      </div>
      <Questions hub={hub} />
    </>
  )
}

/** A page below one of those in the navigation. */
function inner(first: string, second: string | undefined, third: string | undefined) {
  if (first === "modules" && second) return <ModulePage key={second} short={second} configures={third === "settings"} />
  if (first === "settings" && second === "reach") return <ReachPage />
  return first === "backups" && second === "restore" ? <RestorePage /> : null
}

function Navigation({ here }: { here: string }) {
  const [open, setOpen] = useState(false)
  const toggle = useRef<HTMLButtonElement>(null)
  useEffect(() => setOpen(false), [here])
  const onEscape = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return
    setOpen(false)
    toggle.current?.focus()
  }
  const link = ({ path, icon, label }: Place) => (
    <a key={path} href={path ? `/admin/${path}` : "/admin"} aria-current={path === here ? "page" : undefined}>
      <Icon name={icon} />
      <span>{label}</span>
    </a>
  )
  return (
    <nav class={open ? "nav open" : "nav"} aria-label="Main" onKeyDown={onEscape}>
      <a class="brand" href="/" title="Front page">
        <img src="/admin/icon.svg" alt="" width="28" height="28" />
        Parachute
      </a>
      <div class="near">{PLACES.slice(0, NEAR).map(link)}</div>
      <button
        ref={toggle}
        type="button"
        class="nav-more"
        aria-expanded={open}
        aria-controls="far"
        onClick={() => setOpen(!open)}
      >
        <Icon name="more" />
        <span>More</span>
      </button>
      <div class="far" id="far">
        {PLACES.slice(NEAR).map(link)}
        <SignedIn />
      </div>
    </nav>
  )
}

function SignedIn() {
  // What waits needs this session.
  const leave = () =>
    undo
      .complete()
      .then(() => hub.call("POST", "/logout", {}))
      .then(() => location.assign("/login"), report)
  return (
    <div class="signed-in">
      <a href="/account">
        {me.value?.user?.displayName ?? " "}
        <span class="unseen">, your account</span>
      </a>
      <button type="button" class="plain" onClick={leave}>
        Sign out
      </button>
    </div>
  )
}

/** Shown only when the page may be out of date. */
function Contact() {
  const away = contact.value === "away"
  return (
    <div role="status" class="contact">
      {away && (
        <p class="notice busy">
          <Icon name="busy" /> The hub is not answering. It may be restarting. This page updates when it is back.
        </p>
      )}
      {newer.value && (
        <p class="notice good">
          <span class="grow">The hub was updated to version {newer.value}.</span>
          <button type="button" class="plain" onClick={() => location.reload()}>
            Reload this page
          </button>
        </p>
      )}
      {!away && modules.loaded.value && !modules.supervised.value && (
        <p class="notice bad">This hub cannot start or stop modules right now. Its log says why.</p>
      )}
    </div>
  )
}

function Missing() {
  return (
    <Head title="Page not found">
      <a class="button" href="/admin">
        Go to Home
      </a>
    </Head>
  )
}
