import { Head } from "../ui/parts"

export function Settings() {
  return <Head title="Settings" />
}
