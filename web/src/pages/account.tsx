import { Head } from "../ui/parts"

export function Account() {
  return <Head title="Account" />
}
