import { Head } from "../ui/parts"

export function People() {
  return <Head title="People" />
}
