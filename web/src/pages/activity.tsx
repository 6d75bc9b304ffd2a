import { Head } from "../ui/parts"

export function Activity() {
  return <Head title="Activity" />
}
