/** A QR code from the hub, drawn on a canvas because the content security policy forbids data: images. */
import { useEffect, useRef } from "preact/hooks"

export function QrPicture({ url, label }: { url: string; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0))
    void createImageBitmap(new Blob([bytes], { type: "image/png" })).then((picture) => {
      if (!canvas.current) return
      canvas.current.width = picture.width
      canvas.current.height = picture.height
      canvas.current.getContext("2d")?.drawImage(picture, 0, 0)
    })
  }, [url])
  return <canvas class="qr" ref={canvas} role="img" aria-label={label} />
}
