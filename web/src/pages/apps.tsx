import { Head } from "../ui/parts"

export function Apps() {
  return <Head title="Apps" />
}
