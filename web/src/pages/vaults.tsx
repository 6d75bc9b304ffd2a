import { Head } from "../ui/parts"

export function Vaults() {
  return <Head title="Vaults" />
}
