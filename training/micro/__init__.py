"""How well brief facial movements are spotted: studio video, real video, injected movements."""
