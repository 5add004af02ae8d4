import numpy as np
import pytest

glass = pytest.importorskip("affect_gui.glass", reason="the extra gui is not installed")


@pytest.fixture
def screen(qtbot):
    screen = glass.GlassScreen()
    qtbot.addWidget(screen)
    screen.resize(120, 90)
    screen.setVisible(True)
    return screen


def level(screen, x, y):
    return screen.grab().toImage().pixelColor(x, y).lightness()


def test_it_turns_white_and_black(screen):
    for light, wanted in ((True, 255), (False, 0), (True, 255)):
        screen.turn(light=light)
        assert level(screen, 60, 20) == wanted


def test_the_camera_s_image_stays_in_its_corner(screen):
    screen.turn(light=False)
    image = np.zeros((30, 40, 3), np.uint8)
    image[..., 2] = 200  # red: images are BGR
    screen.present(image)
    shown = screen.grab().toImage().pixelColor(5, 85)
    assert (shown.red(), shown.green()) == (200, 0)
    assert level(screen, 60, 20) == 0


def test_closing_it_is_noticed(screen):
    assert not screen.closed
    screen.close()
    assert screen.closed
