"""What texts and files become: their encodings, segments and keywords. It knows no Dify."""
