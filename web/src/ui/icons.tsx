/** Line icons on a 24 px grid. They are decorative: the text beside them says the same. */

const PATHS: Record<string, string> = {
  home: "M4 11l8-7 8 7v8a1 1 0 0 1-1 1h-5v-6h-4v6H5a1 1 0 0 1-1-1z",
  modules: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM16.5 13v7M13 16.5h7",
  vaults:
    "M5 5h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM7 19v2M17 19v2",
  apps: "M9 7V3M15 7V3M6 7h12v5a6 6 0 0 1-12 0zM12 18v3",
  tokens: "M15 4a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11.5 12.5L4 20v-3.5M7 17l2.5 2",
  people:
    "M9 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a4 4 0 0 1 0 7M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  space:
    "M12 5c4.4 0 8 1.3 8 3s-3.6 3-8 3-8-1.3-8-3 3.6-3 8-3zM4 8v8c0 1.7 3.6 3 8 3s8-1.3 8-3V8M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
  backups: "M4 14v5a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-5M12 3.5V15M7 10.5l5 5 5-5",
  notices: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5a2 2 0 0 0 4 0",
  account: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4.5 20.5a7.5 7.5 0 0 1 15 0",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  activity: "M3 12h4l3-7 4 14 3-7h4",
  about: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.5v.5",
  open: "M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5",
  more: "M4 7h16M4 12h16M4 17h16",
  good: "M5 12.5l4.5 4.5L19 7.5",
  busy: "M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  bad: "M12 4L2.5 20h19zM12 10v5M12 17.5v.2",
  off: "M6 12h12",
}

export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name] ?? ""} />
    </svg>
  )
}
